package provision

import (
	"net"
	"strconv"
	"strings"
)

// port is that of mepserver's default.
const port = "30100"

// listens is the address that the server listens on. The certificate says by which names
// clients reach it, which may be those of a gateway, so they are no addresses to listen on,
// unless the platform is for this machine alone.
func (o Options) listens(hosts []host) string {
	switch first := hosts[0]; {
	case o.Listen != "":
		return o.Listen
	case first.loopback():
		return first.joined(port)
	case first.addr.Is6():
		return "[::]:" + port
	}
	return "0.0.0.0:" + port
}

// Address is HOST:PORT at which clients reach the server.
func (o Options) Address() string {
	hosts, err := parseHosts(o.Hosts)
	if err != nil {
		return ""
	}
	_, at, err := net.SplitHostPort(o.listens(hosts))
	if err != nil {
		at = port
	}
	return hosts[0].joined(at)
}

// configuration is the file for --config. Its values are quoted as JSON does it, which YAML
// takes as it is.
func configuration(p *Platform, hosts []host, o Options) []byte {
	var b strings.Builder
	line := func(indent int, key, value string) {
		b.WriteString(strings.Repeat("  ", indent) + key + ":")
		if value != "" {
			b.WriteString(" " + value)
		}
		b.WriteByte('\n')
	}
	text := strconv.Quote
	b.WriteString("# Made by mepserver init; mepserver example explains every setting.\n")
	line(0, "server", "")
	line(1, "listen", text(o.listens(hosts)))
	line(1, "advertise", text(o.Address()))
	if len(o.Endpoints) > 0 {
		line(1, "adminSocket", text(p.Path("admin.sock")))
	}
	line(1, "tls", "")
	line(2, "certFile", text(p.Path(serverCertificate)))
	line(2, "keyFile", text(p.Path(serverKey)))
	line(0, "identity", "")
	line(1, "issuer", "")
	line(2, "enabled", "true")
	line(2, "keyFile", text(p.Path(IssuerKey)))
	line(0, "store", "")
	if len(o.Endpoints) > 0 {
		line(1, "kind", "etcd")
		line(1, "endpoints", "")
		for _, e := range o.Endpoints {
			b.WriteString("    - " + text(e) + "\n")
		}
	} else {
		line(1, "dataDir", text(p.DataDir))
	}
	line(0, "notify", "")
	line(1, "signingKeyFile", text(p.Path(WebhookKey)))
	b.WriteString("  # Where consumers may be called; none without it, but for loopback on loopback.\n  # allowedCallbackCIDRs: [10.0.0.0/8]\n")
	return []byte(b.String())
}
