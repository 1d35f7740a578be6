package conf

import (
	"net"
	"net/url"
	"strings"
)

// Rules says by what the rules of applications are applied. Traffic rules are kept and served
// only.
type Rules struct {
	DNS DNSRules
}

// DNSDriver names what applies DNS rules.
type DNSDriver string

// The drivers of DNS rules.
const (
	DNSNone        DNSDriver = "none"        // rules are kept and served, no name resolves by them
	DNSHosts       DNSDriver = "hosts"       // a file in the form of /etc/hosts
	DNSUpdate      DNSDriver = "rfc2136"     // dynamic updates to the primary server of a zone
	DNSEdgeGallery DNSDriver = "edgegallery" // the REST API of EdgeGallery's dns-server
)

// DNSRules says how names of DNS rules come to resolve.
type DNSRules struct {
	Driver      DNSDriver
	HostsFile   string // of DNSHosts; every line of it is ours
	Server      string // of DNSUpdate: host:port of the primary server
	Zone        string // names of rules must be in it; empty: any name; mandatory for DNSUpdate
	TSIGKeyFile string // of DNSUpdate: one key in the form of BIND's key files; empty only if Server is on loopback
	URL         string // of DNSEdgeGallery: scheme://host:port of its management interface
}

// rules checks that each setting has a driver that uses it, and the driver what it needs.
func (k checker) rules() {
	d := k.Rules.DNS
	const driver = "rules.dns.driver"
	k.oneOf(driver, string(d.Driver), string(DNSNone), string(DNSHosts), string(DNSUpdate), string(DNSEdgeGallery))
	for _, s := range []struct {
		path, value string
		of          DNSDriver
	}{
		{"rules.dns.hostsFile", d.HostsFile, DNSHosts},
		{"rules.dns.server", d.Server, DNSUpdate},
		{"rules.dns.tsigKeyFile", d.TSIGKeyFile, DNSUpdate},
		{"rules.dns.url", d.URL, DNSEdgeGallery},
	} {
		if s.value != "" && d.Driver != s.of {
			k.report(Fault{k.where(s.path), s.path, "is of no use without " + driver + ": " + string(s.of)}, driver)
		}
	}
	if d.Zone != "" {
		k.zone(d)
	}
	switch d.Driver {
	case DNSHosts:
		k.needed(d, "rules.dns.hostsFile", d.HostsFile, "the file that is written")
	case DNSUpdate:
		k.dnsUpdate(d)
	case DNSEdgeGallery:
		k.needed(d, "rules.dns.url", d.URL, "where dns-server's management interface is, such as http://127.0.0.1:8080")
		if d.URL != "" && !baseURL(d.URL) && (!k.EdgeGallery.Site || !serverURL(d.URL)) {
			k.fault("rules.dns.url", "must be scheme://host:port of https (http only on loopback) without user, path or query: whoever can change what is sent there decides where names lead") // not shown: a URL may hold a password
		}
	}
	for _, s := range []struct{ path, file string }{{"rules.dns.hostsFile", d.HostsFile}, {"rules.dns.tsigKeyFile", d.TSIGKeyFile}} {
		if strings.ContainsRune(s.file, 0) {
			k.fault(s.path, "must be the path of a file, not %s", shown(s.file))
		}
	}
}

// needed reports a key without which the driver can do nothing.
func (k checker) needed(d DNSRules, path, value, what string) {
	const driver = "rules.dns.driver"
	if value == "" {
		k.report(Fault{k.firstGiven(path, driver), path, "must be given for " + driver + " " + string(d.Driver) + k.writtenAt(driver) + ": " + what}, driver)
	}
}

func (k checker) dnsUpdate(d DNSRules) {
	const server, zone, key = "rules.dns.server", "rules.dns.zone", "rules.dns.tsigKeyFile"
	k.needed(d, zone, d.Zone, "the zone that is updated")
	k.needed(d, server, d.Server, "HOST:PORT of the zone's primary server")
	switch {
	case d.Server == "":
	case !advertisable(d.Server):
		k.fault(server, "must be HOST:PORT with an IP address or a name and a port from 1 to 65535, not %s", shown(d.Server))
	case d.TSIGKeyFile == "" && !loopback(d.Server):
		k.report(Fault{k.firstGiven(key, server), key, "must be given for rules.dns.server " + shown(d.Server) + k.writtenAt(server) +
			": without TSIG anybody on the way can change updates and their answers; only a server on loopback may do without"}, server)
	}
}

// zone checks the form of a zone's name. "_" is not for hosts (RFC 952), but zones have it.
func (k checker) zone(d DNSRules) {
	const path, driver = "rules.dns.zone", "rules.dns.driver"
	if d.Driver == DNSNone {
		k.report(Fault{k.where(path), path, "is of no use without a driver: " + driver + " is none" + k.writtenAt(driver)}, driver)
	}
	name := strings.TrimSuffix(d.Zone, ".")
	good := name != "" && len(name) <= 253
	for label := range strings.SplitSeq(name, ".") {
		good = good && label != "" && len(label) <= 63 && strings.IndexFunc(label, notInLabel) < 0
	}
	if !good {
		k.fault(path, "must be a domain name such as apps.edge.example, not %s", shown(d.Zone))
	}
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// baseURL says whether a URL is of a server as a whole that may be trusted to be that server.
func baseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1"))
}
