package mp1

import (
	"encoding/json"
	"net"
	"net/netip"
)

// InterfaceType is the kind of a destination interface (§7.1.5.3).
type InterfaceType string

// The types of interfaces.
const (
	InterfaceTunnel InterfaceType = "TUNNEL"
	InterfaceMAC    InterfaceType = "MAC"
	InterfaceIP     InterfaceType = "IP"
)

// TunnelType is the kind of a tunnel (§7.1.5.4).
type TunnelType string

// The types of tunnels.
const (
	TunnelGTPU TunnelType = "GTP_U"
	TunnelGRE  TunnelType = "GRE"
)

// DestinationInterface is where packets go (§7.1.5.3).
type DestinationInterface struct {
	InterfaceType InterfaceType `json:"interfaceType"`
	TunnelInfo    *TunnelInfo   `json:"tunnelInfo,omitempty"` // of a TUNNEL
	SrcMACAddress string        `json:"srcMacAddress,omitempty"`
	DstMACAddress string        `json:"dstMacAddress,omitempty"`
	DstIPAddress  string        `json:"dstIpAddress,omitempty"`
}

// TunnelInfo describes a tunnel (§7.1.5.4).
type TunnelInfo struct {
	TunnelType       TunnelType `json:"tunnelType"`
	TunnelDstAddress string     `json:"tunnelDstAddress,omitempty"`
	TunnelSrcAddress string     `json:"tunnelSrcAddress,omitempty"`
}

// DestinationInterfaces are the interfaces of a traffic rule. MEC 011 gives two actions two of
// them, while its schema has one object: so one is written as an object, and two as an array,
// the client's side first.
type DestinationInterfaces []DestinationInterface

// MarshalJSON implements json.Marshaler.
func (d DestinationInterfaces) MarshalJSON() ([]byte, error) {
	if len(d) == 1 {
		return json.Marshal(d[0])
	}
	return json.Marshal([]DestinationInterface(d))
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *DestinationInterfaces) UnmarshalJSON(data []byte) error {
	var one DestinationInterface
	if json.Unmarshal(data, &one) == nil {
		*d = nil
		if one.InterfaceType != "" { // not null
			*d = DestinationInterfaces{one}
		}
		return nil
	}
	return json.Unmarshal(data, (*[]DestinationInterface)(d))
}

const maxInterfaces = 2

var (
	interfaceMembers = []string{"interfaceType", "tunnelInfo", "srcMacAddress", "dstMacAddress", "dstIpAddress"}
	tunnelMembers    = []string{"tunnelType", "tunnelDstAddress", "tunnelSrcAddress"}
	interfaceTypes   = []string{string(InterfaceTunnel), string(InterfaceMAC), string(InterfaceIP)}
	tunnelTypes      = []string{string(TunnelGTPU), string(TunnelGRE)}
)

// decodeDestinations reads one interface or an array of them; nil: there is none. Those in
// which everything is empty are left out: clients whose types have no absence, such as
// EdgeGallery's, send them.
func decodeDestinations(o object) (DestinationInterfaces, error) {
	const name = "dstInterface"
	l, isList := o.members[name].([]any)
	if !isList {
		l = []any{o.members[name]}
	}
	if len(l) > maxInterfaces {
		return nil, &Invalid{o.pathTo(name), "must not have more than 2 entries"}
	}
	var out DestinationInterfaces
	for _, v := range l {
		if isEmpty(v) {
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{o.pathTo(name), "must be an object, or an array of two"}
		}
		one, err := decodeDestination(object{path: o.pathTo(name), members: m})
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func decodeDestination(o object) (d DestinationInterface, err error) {
	if err = o.refuseOtherCase(interfaceMembers...); err != nil {
		return d, err
	}
	kind, err := o.enum("interfaceType", interfaceTypes)
	if err != nil {
		return d, o.required("interfaceType", err)
	}
	d.InterfaceType = InterfaceType(kind)
	if d.TunnelInfo, err = decodeTunnel(o); err != nil {
		return d, err
	}
	if d.InterfaceType == InterfaceTunnel && d.TunnelInfo == nil {
		return d, &Invalid{o.pathTo("tunnelInfo"), "is mandatory for an interface of the type TUNNEL"}
	}
	if d.SrcMACAddress, err = o.mac("srcMacAddress"); err != nil {
		return d, err
	}
	if d.DstMACAddress, err = o.mac("dstMacAddress"); err != nil {
		return d, err
	}
	d.DstIPAddress, err = o.ip("dstIpAddress")
	return d, err
}

func decodeTunnel(o object) (*TunnelInfo, error) {
	t, err := o.nonEmptyObject("tunnelInfo")
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if err = t.refuseOtherCase(tunnelMembers...); err != nil {
		return nil, err
	}
	kind, err := t.enum("tunnelType", tunnelTypes)
	if err != nil {
		return nil, t.required("tunnelType", err)
	}
	out := TunnelInfo{TunnelType: TunnelType(kind)}
	if out.TunnelDstAddress, err = t.ip("tunnelDstAddress"); err != nil {
		return nil, err
	}
	out.TunnelSrcAddress, err = t.ip("tunnelSrcAddress")
	return &out, err
}

// mac reads an optional MAC address.
func (o object) mac(name string) (string, error) {
	s, err := o.optionalText(name, maxText)
	if err != nil || s == "" {
		return "", err
	}
	if _, err := net.ParseMAC(s); err != nil {
		return "", &Invalid{o.pathTo(name), "must be a MAC address, such as 02:00:00:00:00:01"}
	}
	return s, nil
}

// ip reads an optional IP address.
func (o object) ip(name string) (string, error) {
	s, err := o.optionalText(name, maxText)
	if err != nil || s == "" {
		return "", err
	}
	if ip, err := netip.ParseAddr(s); err != nil || ip.Zone() != "" {
		return "", &Invalid{o.pathTo(name), "must be an IP address, such as 192.0.2.1 or 2001:db8::1"}
	}
	return s, nil
}
