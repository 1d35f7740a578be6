package center

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

func TestWhereClientsReachAReplica(t *testing.T) {
	host := func(advertise, listen string) *plugins.Host {
		return &plugins.Host{Config: conf.Config{Server: conf.Server{Advertise: advertise, Listen: listen}}}
	}
	require.Equal(t, "mep.example:443", advertisedAddress(host("mep.example:443", "0.0.0.0:30100")))
	require.Equal(t, "127.0.0.1:30100", advertisedAddress(host("", "127.0.0.1:30100")))
	chosen := host("", "127.0.0.1:0")
	chosen.Address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	require.Equal(t, "127.0.0.1:4711", advertisedAddress(chosen))
	every := host("", "[::]:30100")
	every.Address = &net.TCPAddr{IP: net.IPv6unspecified, Port: 30100}
	got, port, err := net.SplitHostPort(advertisedAddress(every))
	require.NoError(t, err)
	require.Equal(t, "30100", port)
	require.False(t, net.ParseIP(got).IsUnspecified(), got)

	secure := host("mep.example:443", "")
	require.Equal(t, "rest://mep.example:443", AdvertisedEndpoint(secure))
	secure.Config.Server.TLS.CertFile = "server.pem"
	require.Equal(t, "rest://mep.example:443?sslEnabled=true", AdvertisedEndpoint(secure))

	nets := func(all ...string) (out []netip.Addr) {
		for _, one := range all {
			out = append(out, netip.MustParseAddr(one))
		}
		return out
	}
	require.Equal(t, "127.0.0.1", reachable(nets("127.0.0.1", "::1", "fe80::1", "169.254.1.1")).String())
	require.Equal(t, "10.0.0.5", reachable(nets("127.0.0.1", "fd00::5", "10.0.0.5", "10.0.1.5")).String())
	require.Equal(t, "fd00::5", reachable(nets("fe80::1", "fd00::5")).String())
}
