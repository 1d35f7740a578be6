package chassis

import (
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/go-chassis/go-chassis/v2/core/registry"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	restProtocol   = "rest"
	grpcProtocol   = "grpc"
	up             = "UP" // the status of an instance that may be called
	defaultVersion = "0.0.1"
	transportID    = "go-chassis"
)

// extra is what go-chassis knows of an instance and Mp1 has no member for. It is the
// member "servicecomb" of implSpecificInfo.
type extra struct {
	HostName   string            `json:"hostName,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	DataCenter *dataCenter       `json:"dataCenter,omitempty"`
}

type dataCenter struct {
	Name          string `json:"name"`
	Region        string `json:"region"`
	AvailableZone string `json:"availableZone"`
}

// implSpecific is the implSpecificInfo of a transport of ours.
type implSpecific struct {
	ServiceComb extra `json:"servicecomb"`
}

// describe is how an instance is registered at the platform. ok is false if it has no
// endpoint, so that it offers nothing.
func describe(service *registry.MicroService, instance *registry.MicroServiceInstance, interval int) (info mp1.ServiceInfo, ok bool) {
	uris, protocols := urisOf(instance.EndpointsMap)
	if len(uris) == 0 {
		return info, false
	}
	info = mp1.ServiceInfo{
		SerName: service.ServiceName, Version: service.Version, State: stateOf(instance.Status), Serializer: "JSON",
		LivenessInterval: &interval,
		TransportInfo: &mp1.TransportInfo{ID: transportID, Name: transportID, Version: "1.1", Endpoint: mp1.EndPointInfo{URIs: uris},
			ImplSpecificInfo: implSpecificOf(instance)},
	}
	if info.Version == "" {
		info.Version = defaultVersion
	}
	t := info.TransportInfo
	switch first := protocols[0]; {
	case isProtocol(first, restProtocol):
		t.Type, t.Protocol = "REST_HTTP", "HTTP"
	case isProtocol(first, grpcProtocol):
		t.Type, t.Protocol = "RPC", "GRPC"
	default:
		t.Type, t.Protocol = "RPC", strings.ToUpper(first)
	}
	return info, true
}

// stateOf is the state of MEC 011 for a status of ServiceComb's.
func stateOf(status string) mp1.State {
	if status == up || status == "" {
		return mp1.Active
	}
	return mp1.Inactive
}

// isProtocol reports whether an endpoint's name is a protocol, or one that has a port's
// name behind it, as rest-admin.
func isProtocol(name, protocol string) bool {
	return name == protocol || strings.HasPrefix(name, protocol+"-")
}

// urisOf are the endpoints of an instance as URIs, and their protocols in the same order:
// rest first, so that it decides about the type of the transport.
func urisOf(endpoints map[string]*registry.Endpoint) (uris, protocols []string) {
	for name, e := range endpoints {
		if e != nil && e.Address != "" {
			protocols = append(protocols, name)
		}
	}
	rank := func(name string) string {
		if isProtocol(name, restProtocol) {
			return " " + name
		}
		return name
	}
	slices.SortFunc(protocols, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for _, name := range protocols {
		e := *endpoints[name]
		e.Address = reachable(e.Address)
		switch {
		case name == restProtocol && e.SSLEnabled:
			uris = append(uris, "https://"+e.Address)
		case name == restProtocol:
			uris = append(uris, "http://"+e.Address)
		default:
			uris = append(uris, name+"://"+e.GenEndpoint())
		}
	}
	return uris, protocols
}

// reachable puts an address of this host in place of 0.0.0.0 or ::, at which nobody is
// called.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) == nil {
		return address
	}
	if host, err = registry.FillUnspecifiedIP(host); err != nil {
		return address
	}
	return net.JoinHostPort(host, port)
}

// implSpecificOf is what has no place elsewhere.
func implSpecificOf(i *registry.MicroServiceInstance) json.RawMessage {
	e := extra{HostName: i.HostName, Properties: maps.Clone(i.Metadata)}
	maps.DeleteFunc(e.Properties, func(_, value string) bool { return value == "" }) // go-chassis sets some that it does not know
	if d := i.DataCenterInfo; d != nil {
		e.DataCenter = &dataCenter{d.Name, d.Region, d.AvailableZone}
	}
	b, err := json.Marshal(implSpecific{e})
	if err != nil { // strings always encode
		return nil
	}
	return b
}
