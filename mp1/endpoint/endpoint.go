// Package endpoint knows at which URLs ServiceComb's clients call what Mp1 describes as
// EndPointInfo (MEC 011 §8.1.5.3). It must not know service-center, a store, or who asks.
package endpoint

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// ServiceComb's clients fail on an endpoint that they cannot parse, or pass over it
// without a word, so whatever an application calls its address arrives there as a URL
// with a host and a port. What they make of one:
//   - go-chassis takes the endpoint whose scheme is the protocol that its consumer uses
//     (rest), and of several the last; what stands between "://" and "?" is host and
//     port, so that a path there is a fault. Of the query it reads sslEnabled=true.
//   - java-chassis takes every endpoint whose scheme is one of its transports (rest),
//     reads it by java.net.URI, wants the port named, and puts urlPrefix of the query
//     before its paths.
//   - sc-client, which finds service-center itself, takes the last of a scheme.
//
// Hence http and https stand there as they are, for whoever looks, and as rest behind
// them, the first that the application named at the very end.

// address is one place where a service can be reached.
type address struct {
	scheme string // lower case
	host   string // without brackets
	port   int
	path   string // escaped, with its leading slash; or empty
	query  string // escaped
}

// transportScheme is that of the last resort: see unreachable.
const transportScheme = "mec-transport"

// URLs are the endpoints of a transport. Each parses and has a host and a port from 1 to
// 65535. There is always one, for service-center's pages and some clients read the first
// without looking. nil is a transport that nobody described.
func URLs(t *mp1.TransportInfo) []string {
	var plain, rest []string
	for _, a := range addressesOf(t) {
		if a.scheme != restScheme {
			plain = once(plain, a.String())
		}
		if r, ok := a.rest(); ok {
			rest = once(rest, r.String())
		}
	}
	slices.Reverse(rest)
	if out := slices.Concat(plain, rest); len(out) > 0 {
		return out
	}
	return []string{unreachable(t)}
}

// once adds an endpoint that was not said just before.
func once(to []string, one string) []string {
	if slices.Contains(to[max(0, len(to)-mostCompared):], one) {
		return to
	}
	return append(to, one)
}

// mostCompared bounds the search for an endpoint that is said twice.
const mostCompared = 64

// unreachable is the endpoint of a service that has no URL: of an alternative, which
// only the application understands, and of addresses that are none. Its host is one that
// never resolves (RFC 6761 §6.4); its scheme and name say where to ask: Mp1 has the
// service's own description under the instance's property mec.serInstanceId.
func unreachable(t *mp1.TransportInfo) string {
	name := "none"
	if t != nil {
		name = hostLabel(t.ID)
	}
	return address{scheme: transportScheme, host: name + ".invalid", port: 1}.String()
}

// addressesOf are those of a transport that can be written as URLs, in its order.
func addressesOf(t *mp1.TransportInfo) (out []address) {
	if t == nil {
		return nil
	}
	scheme := schemeOf(t)
	add := func(a address, ok bool) {
		if ok {
			out = append(out, a)
		}
	}
	for _, u := range t.Endpoint.URIs {
		add(parseURI(u, scheme))
	}
	for _, a := range t.Endpoint.Addresses {
		add(finish(address{scheme: scheme, host: a.Host, port: a.Port}))
	}
	for _, f := range t.Endpoint.FQDN {
		add(parseName(f, scheme))
	}
	return out
}

// schemeOf is the scheme of addresses and names that come without one.
func schemeOf(t *mp1.TransportInfo) string {
	p := strings.ToLower(strings.TrimSpace(t.Protocol))
	secure := strings.Contains(p, "https") || strings.Contains(p, "wss") || strings.Contains(p, "tls") || strings.Contains(p, "ssl")
	speaksHTTP := t.Type == "REST_HTTP" || strings.Contains(p, "http") || strings.HasPrefix(p, restScheme)
	switch {
	case t.Type == "WEBSOCKET" && secure:
		return "wss"
	case t.Type == "WEBSOCKET":
		return "ws"
	case speaksHTTP && secure:
		return "https"
	case speaksHTTP:
		return "http"
	}
	if end := strings.IndexFunc(p, func(r rune) bool { return !schemeRune(r) }); end >= 0 {
		p = p[:end] // "AMQP 1.0", "MQTT/5"
	}
	if p = strings.TrimLeft(p, "0123456789+-."); p == "" {
		return transportScheme
	}
	if secure && defaultPorts[p+"s"] != 0 { // "MQTT over TLS"
		p += "s"
	}
	return p[:min(len(p), mostScheme)]
}

const mostScheme = 32

func schemeRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '-' || r == '.'
}

// parseURI reads one of uris. ETSI calls them URIs, and applications write what they
// like: a host with its port, a path alone.
func parseURI(text, scheme string) (address, bool) {
	text = strings.TrimSpace(text)
	own, rest, ok := strings.Cut(text, "://")
	if !ok {
		return parseBare(text, scheme, false)
	}
	a, ok := parseHier(rest)
	a.scheme = strings.ToLower(own)
	if !ok || own == "" || a.scheme[0] < 'a' || a.scheme[0] > 'z' || strings.ContainsFunc(a.scheme, func(r rune) bool { return !schemeRune(r) }) {
		return a, false
	}
	return finish(a)
}

// parseName reads one of fqdn, which some fill with a whole URI.
func parseName(text, scheme string) (address, bool) {
	if strings.Contains(text, "://") {
		return parseURI(text, scheme)
	}
	return parseBare(text, scheme, true)
}

// parseBare reads a host without a scheme: with a port, an IP address, or a name with a
// dot in it. Another single word, or a path, could be anything; where the member is one
// of names, a word is a name.
func parseBare(text, scheme string, named bool) (address, bool) {
	text = strings.TrimSpace(text)
	if ip, ok := ipOf(text); ok {
		return finish(address{scheme: scheme, host: ip})
	}
	rest := strings.TrimPrefix(text, "//")
	if rest == "" || rest[0] == '/' || strings.Contains(rest, "@") { // a path; an address of mail
		return address{}, false
	}
	if end := strings.IndexAny(rest, "/?#"); strings.HasSuffix(rest[:max(end, 0)], ":") { // "http:/host": a scheme is no host
		return address{}, false
	}
	a, ok := parseHier(rest)
	if _, isIP := ipOf(a.host); !ok || !named && a.port == 0 && !isIP && !strings.Contains(strings.TrimSuffix(a.host, "."), ".") {
		return a, false
	}
	a.scheme = scheme
	return finish(a)
}

// parseHier reads what stands behind the slashes of a URI. url.Parse refuses whole URIs
// for a percent sign or a zone in the wrong place. User, password and fragment are left out.
func parseHier(text string) (a address, ok bool) {
	text, _, _ = strings.Cut(text, "#")
	text, a.query, _ = strings.Cut(text, "?")
	a.query = clean(a.query, queryBytes)
	authority := text
	if i := strings.IndexByte(text, '/'); i >= 0 {
		authority, a.path = text[:i], clean(text[i:], pathBytes)
	}
	if a.path == "/" && a.query == "" {
		a.path = ""
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	port := ""
	switch i, j := strings.LastIndexByte(authority, ':'), strings.LastIndexByte(authority, ']'); {
	case i > j && (j >= 0 || strings.Count(authority, ":") == 1):
		a.host, port = authority[:i], authority[i+1:]
	default: // among others an IPv6 address without brackets, which has no port then
		a.host = authority
	}
	if unescaped, err := url.PathUnescape(a.host); err == nil {
		a.host = unescaped
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return a, false
		}
		a.port = int(n)
	}
	return a, true
}

// finish makes host and port what a URL can have.
func finish(a address) (address, bool) {
	host, ok := hostOf(a.host)
	if !ok {
		return a, false
	}
	a.host = host
	if a.port == 0 {
		a.port = defaultPorts[a.scheme]
		if a.scheme == restScheme && strings.Contains(a.query, sslEnabled) {
			a.port = defaultPorts["https"]
		}
	}
	return a, a.port != 0
}

// defaultPorts are those of schemes that have one (IANA; gRPC's is that of its naming).
var defaultPorts = map[string]int{
	"http": 80, "https": 443, restScheme: 80, "ws": 80, "wss": 443, "mqtt": 1883, "mqtts": 8883, "amqp": 5672, "amqps": 5671,
	"coap": 5683, "coaps": 5684, "grpc": 443, "grpcs": 443, "nats": 4222, "ftp": 21, "rtsp": 554,
}

const (
	restScheme = "rest"
	sslEnabled = "sslEnabled=true"
	urlPrefix  = "urlPrefix="
)

// rest is the address as ServiceComb's clients call it, if it speaks HTTP.
func (a address) rest() (address, bool) {
	query := ""
	switch a.scheme {
	case "http":
	case "https":
		query = sslEnabled
	case restScheme:
		query = a.query
	default:
		return a, false
	}
	if base := strings.TrimRight(a.path, "/"); base != "" && !strings.Contains(query, urlPrefix) {
		query = strings.TrimPrefix(query+"&"+urlPrefix+url.QueryEscape(base), "&")
	}
	return address{scheme: restScheme, host: a.host, port: a.port, query: query}, true
}

func (a address) String() string {
	out := a.scheme + "://" + net.JoinHostPort(a.host, strconv.Itoa(a.port)) + a.path
	if a.query != "" {
		out += "?" + a.query
	}
	return out
}
