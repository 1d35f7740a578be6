package rfc2136

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/nameserver"
)

const (
	zone   = nameserver.Zone
	secret = nameserver.Secret
)

// settings are those of a driver for a server, with the key that it has.
func settings(t testing.TB, p *nameserver.Server) conf.DNSRules {
	return conf.DNSRules{Driver: conf.DNSUpdate, Server: p.Address, Zone: "apps.edge.example",
		TSIGKeyFile: nameserver.WriteKey(t, "mep", nameserver.Algorithm, nameserver.Secret)}
}

func newDriver(t testing.TB, c conf.DNSRules) *Driver {
	t.Helper()
	d, err := New(c, time.Now, nil)
	require.NoError(t, err)
	return d
}

// respond has a server answer each message by f, which is given the message and the answer so
// far: to it, and with its signature prepared.
func respond(p *nameserver.Server, f func(w dns.ResponseWriter, q, r *dns.Msg)) {
	p.Instead(func(w dns.ResponseWriter, q *dns.Msg) bool {
		r := new(dns.Msg).SetReply(q)
		p.Sign(w, q, r)
		f(w, q, r)
		return true
	})
}
