package agent

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// form is what of a description tells registrations apart, as package mp1 normalises it.
type form struct {
	name      string   // with the version
	transport string   // its type, protocol and version
	endpoint  string   // "": none is given
	hosts     []string // of the endpoint, with their ports
	around    string   // the endpoint without them
	rest      string   // all else but state and interval
	beats     bool     // there is an interval
}

// nameOf is the name and version of a service.
func nameOf(info mp1.ServiceInfo) string { return info.SerName + "\x00" + info.Version }

func formOf(info mp1.ServiceInfo) form {
	n := info.Normal()
	f := form{name: nameOf(n), beats: n.LivenessInterval != nil}
	n.State, n.LivenessInterval = "", nil
	if t := n.TransportInfo; t != nil {
		f.transport = fmt.Sprintf("%s\x00%s\x00%s", t.Type, t.Protocol, t.Version)
		f.endpoint = jsonText(t.Endpoint)
		f.hosts, f.around = splitEndpoint(t.Endpoint)
		t.Endpoint = mp1.EndPointInfo{}
	}
	f.rest = jsonText(n)
	return f
}

// jsonText is v as JSON. If v holds text that is none, it is the error, the same for the same.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// splitEndpoint takes a normal endpoint apart: its hosts with their ports, in order, and all
// else, which is its form, the number of its entries, and schemes and paths.
func splitEndpoint(e mp1.EndPointInfo) (hosts []string, around string) {
	rest := mp1.EndPointInfo{Alternative: e.Alternative}
	for _, uri := range e.URIs {
		if u, err := url.Parse(uri); err == nil && u.Host != "" {
			hosts = append(hosts, hostPort(u))
			u.Host = "-"
			uri = u.String()
		}
		rest.URIs = append(rest.URIs, uri)
	}
	for _, name := range e.FQDN {
		hosts, rest.FQDN = append(hosts, name), append(rest.FQDN, "-")
	}
	for _, a := range e.Addresses {
		hosts, rest.Addresses = append(hosts, net.JoinHostPort(a.Host, strconv.Itoa(a.Port))), append(rest.Addresses, mp1.Address{})
	}
	slices.Sort(hosts)
	slices.Sort(rest.URIs)
	return slices.Compact(hosts), jsonText(rest)
}

// hostPort is the host of a URL with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	case u.Scheme == "https":
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// levels are degrees of likeness, the closest first. Name, version and endpoint are the same
// at each: another agent of the application may offer the same service elsewhere.
var levels = []func(ours, shown form) bool{
	func(a, b form) bool { return a.rest == b.rest && a.beats == b.beats },
	func(a, b form) bool { return a.transport == b.transport && a.beats == b.beats },
	func(a, b form) bool { return a.beats == b.beats },
	func(a, b form) bool { return a.transport == b.transport },
	func(form, form) bool { return true },
}

// sameEndpoint reports whether what is shown may be at the configured endpoint. A transportId
// names a transport of the platform's own, which only it can show.
func (f form) sameEndpoint(shown form) bool { return f.endpoint == "" || f.endpoint == shown.endpoint }

func sameHosts(a, b form) bool { return len(a.hosts) > 0 && slices.Equal(a.hosts, b.hosts) }

// edgeGallerysForm reports whether an answer is EdgeGallery's: its links have no href of self.
// It shows its gateway's addresses, and an interval of its own.
func edgeGallerysForm(info mp1.ServiceInfo) bool {
	return info.Links == nil || info.Links.Self.Href == ""
}

// describedOtherwise reports whether the platform has a service otherwise than it is
// configured. What it chooses itself, or does not show, is no difference: nor is the state,
// which heartbeats and the application change, unless it is to be INACTIVE.
func describedOtherwise(ours, shown mp1.ServiceInfo, a, b form) bool {
	if ours.State == mp1.Inactive && shown.State != mp1.Inactive {
		return true
	}
	if asked, has := ours.LivenessInterval, shown.LivenessInterval; asked != nil && *asked > 0 && has != nil && *has != *asked && !edgeGallerysForm(shown) {
		return true
	}
	if a.endpoint == "" { // the transport is the platform's own
		ours.TransportInfo, shown.TransportInfo, b.endpoint = nil, nil, ""
		ours.TransportID, shown.TransportID = "", ""
		a.rest, b.rest = formOf(ours).rest, formOf(shown).rest
	}
	if a.endpoint != b.endpoint {
		return true
	}
	if edgeGallerysForm(shown) { // it drops false, and what only applications understand
		shown.ConsumedLocalOnly = ours.ConsumedLocalOnly
		if t := shown.TransportInfo; t != nil && ours.TransportInfo != nil {
			with := *t
			with.ImplSpecificInfo = ours.TransportInfo.ImplSpecificInfo
			shown.TransportInfo = &with
		}
		b.rest = formOf(shown).rest
	}
	return a.rest != b.rest
}
