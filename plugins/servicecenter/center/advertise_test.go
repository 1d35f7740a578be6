package center

import (
	"net"
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

	nets := func(all ...string) (out []net.Addr) {
		for _, one := range all {
			ip, n, err := net.ParseCIDR(one)
			require.NoError(t, err)
			out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return out
	}
	require.Equal(t, "127.0.0.1", reachable(nets("127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16")).String())
	require.Equal(t, "10.0.0.5", reachable(nets("127.0.0.1/8", "fd00::5/64", "10.0.0.5/24", "10.0.1.5/24")).String())
	require.Equal(t, "fd00::5", reachable(nets("fe80::1/64", "fd00::5/64")).String())
}
