package mp1

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Normal returns i in the form that all descriptions of one meaning share: members that are
// absent have the values that their absence means, what is empty is absent, and the transport
// is as [TransportInfo.Normal] has it. What the platform assigns (serInstanceId, _links,
// isLocal) is absent. It takes what is not valid as it is.
func (i ServiceInfo) Normal() ServiceInfo {
	i = i.Completed()
	i.SerInstanceID, i.Links, i.IsLocal = "", nil, nil
	if i.SerCategory != nil && *i.SerCategory == (CategoryRef{}) {
		i.SerCategory = nil
	}
	if i.TransportInfo != nil {
		t := i.TransportInfo.Normal()
		i.TransportInfo, i.TransportID = &t, ""
	}
	return i
}

// Normal returns t in the form that all descriptions of one meaning share: its endpoint is as
// [EndPointInfo.Normal] has it, objects of unknown members have them in order, and those
// without any are absent.
func (t TransportInfo) Normal() TransportInfo {
	t.Endpoint = t.Endpoint.Normal()
	t.ImplSpecificInfo = normalObject(t.ImplSpecificInfo)
	if o := t.Security.OAuth2Info; o != nil {
		grants := slices.DeleteFunc(slices.Clone(o.GrantTypes), func(s string) bool { return s == "" })
		t.Security.OAuth2Info = nil
		if len(grants) > 0 || o.TokenEndpoint != "" {
			t.Security.OAuth2Info = &OAuth2Info{slices.Clip(grants), o.TokenEndpoint}
		}
	}
	extensions := map[string]json.RawMessage{}
	for name, v := range t.Security.Extensions {
		extensions[name] = normalValue(v)
	}
	t.Security.Extensions = extensions
	return t
}

// Normal returns e in the form that all endpoints of one meaning share: arrays that are empty
// are absent, if one is not, and the entries of the others are in order, each once; schemes,
// hosts and addresses are in their usual form, a port is absent that the scheme implies, and
// so is a path that is only a slash.
func (e EndPointInfo) Normal() EndPointInfo {
	out := EndPointInfo{Alternative: normalObject(e.Alternative)}
	if len(e.URIs) > 0 {
		out.URIs = normalAll(e.URIs, normalURI)
	}
	if len(e.FQDN) > 0 {
		out.FQDN = normalAll(e.FQDN, normalHost)
	}
	if len(e.Addresses) > 0 {
		all := make([]Address, len(e.Addresses))
		for i, a := range e.Addresses {
			all[i] = Address{normalHost(a.Host), a.Port}
		}
		slices.SortFunc(all, func(a, b Address) int {
			if c := strings.Compare(a.Host, b.Host); c != 0 {
				return c
			}
			return a.Port - b.Port
		})
		out.Addresses = slices.Compact(all)
	}
	return out
}

func normalAll(all []string, normal func(string) string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = normal(s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// normalHost is a name or an address of a host in its usual form (RFC 4343, RFC 5952).
func normalHost(host string) string {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// normalURI is a URI in its usual form (RFC 3986 §6.2.2, §6.2.3). One without a host is
// returned as it is.
func normalURI(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return uri
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host, port := normalHost(u.Hostname()), u.Port()
	if port == impliedPort(u.Scheme) {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Host = host; port != "" {
		u.Host += ":" + port
	}
	if u.Path == "/" {
		u.Path, u.RawPath = "", ""
	}
	return u.String()
}

func impliedPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// normalObject is normalValue, but nil for an object without members.
func normalObject(text json.RawMessage) json.RawMessage {
	if v := normalValue(text); !bytes.Equal(v, []byte("{}")) && !bytes.Equal(v, []byte("null")) {
		return v
	}
	return nil
}

// normalValue is JSON text with its members in order, without spaces, and with whole numbers
// written without a fraction. What is not JSON is returned as it is.
func normalValue(text json.RawMessage) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(PlainNumbers(text)))
	d.UseNumber()
	var v any
	if len(text) == 0 || d.Decode(&v) != nil {
		return text
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return out
}
