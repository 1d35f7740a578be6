package kong

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// maxEndpoints bounds the entries of one service; further endpoints stay as they are.
const maxEndpoints = 32

// endpoint is one endpoint of a service that the gateway can lead to.
type endpoint struct {
	uri string // as EdgeGallery's mepserver writes it: the key of the entry
	url string // for Kong
}

// endpointsOf are the endpoints of a service that are published, at most maxEndpoints, and
// publish says which are. Every text in them comes from an application.
func endpointsOf(info *mp1.ServiceInfo, publish func(host string, port int) bool) (out []endpoint) {
	seen := map[string]bool{}
	for _, uri := range urisOf(info) {
		if link, ok := kongURL(uri, publish); ok && !seen[uri] && len(out) < maxEndpoints {
			seen[uri] = true
			out = append(out, endpoint{uri, link})
		}
	}
	return out
}

// urisOf are the URIs of a service, those of addresses made as EdgeGallery's mepserver does,
// which imported entries are found by.
func urisOf(info *mp1.ServiceInfo) []string {
	if info.TransportInfo == nil {
		return nil
	}
	t := info.TransportInfo
	if len(t.Endpoint.URIs) > 0 {
		return t.Endpoint.URIs
	}
	var out []string
	for _, a := range t.Endpoint.Addresses {
		host := a.Host
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			host = "[" + host + "]" // which EdgeGallery leaves out, so that its URI of an IPv6 address is none
		}
		out = append(out, fmt.Sprintf("%s://%s:%d/", t.Protocol, host, a.Port))
	}
	return out
}

// Kong's rules for a service (kong 2.0, kong/db/schema/typedefs.lua). What it would refuse is not
// sent: consumers are better off with the endpoint as it was registered.
var (
	plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)
	plainPath = regexp.MustCompile(`^(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*$`)
)

// kongURL is a URI as Kong takes it: the scheme http or https in lower case, no user, no query, no
// fragment, a path without empty parts.
func kongURL(uri string, publish func(host string, port int) bool) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "", false
	}
	port := map[string]int{"http": 80, "https": 443}[u.Scheme] // url.Parse has it in lower case
	if port == 0 {
		return "", false
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return "", false
		}
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err != nil {
		if !plainHost.MatchString(host) || strings.Contains(host, "..") {
			return "", false
		}
	} else if ip.Zone() != "" {
		return "", false
	}
	path := u.EscapedPath()
	if !plainPath.MatchString(path) || strings.Contains(path, "//") || !publish(host, port) {
		return "", false
	}
	out := u.Scheme + "://"
	if u.Port() != "" {
		out += net.JoinHostPort(host, u.Port())
	} else if strings.Contains(host, ":") {
		out += "[" + host + "]"
	} else {
		out += host
	}
	return out + path, true
}

// nameFor is what an endpoint of a service is called at the gateway if nothing is stored: the
// service's name, and hex characters that only this endpoint has. Each replica finds the same
// one, so that consumers see it before anything is published or stored.
func nameFor(id heartbeat.ID, serName, uri string) string {
	var part strings.Builder
	for i := 0; i < len(serName) && part.Len() < plugins.GatewayPrefix; i++ {
		switch c := serName[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
			part.WriteByte(c)
		}
	}
	sum := sha256.Sum256([]byte(string(id) + "\x00" + uri))
	return part.String() + hex.EncodeToString(sum[:])[:plugins.GatewaySuffix]
}

// validName says whether a name may be one of our entries. Others, such as those that mepauth has
// made for mepserver and itself, are never touched.
func validName(name string) bool {
	_, ok := plugins.GatewayName(name)
	return ok
}
