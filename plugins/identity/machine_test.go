package identity

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// podNetwork is the network of the pod.
type podNetwork struct {
	names  []netip.Addr
	routes map[string]string // prefix: source
	asked  int
}

func (n *podNetwork) addresses() map[netip.Addr]string {
	n.asked++
	return map[netip.Addr]string{netip.MustParseAddr(pod): "eth0", netip.MustParseAddr("10.244.0.80"): "eth0", netip.MustParseAddr(multus): "net1",
		netip.MustParseAddr("127.0.0.1"): "lo", netip.MustParseAddr(pod6): "eth0", netip.MustParseAddr("2001:db8:1::2"): "net1"}
}

func (n *podNetwork) named() []netip.Addr { return n.names }

func (n *podNetwork) source(to netip.Addr) (best netip.Addr) {
	n.asked++
	bits := -1
	for prefix, from := range n.routes {
		if p := netip.MustParsePrefix(prefix); p.Contains(to) && p.Bits() > bits {
			best, bits = netip.MustParseAddr(from), p.Bits()
		}
	}
	return best
}

func TestThePrimaryAddressIsThePodsOwn(t *testing.T) {
	parse := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	defaults := map[string]string{"0.0.0.0/0": pod, "::/0": pod6}
	for _, c := range []struct {
		name   string
		names  []netip.Addr
		routes map[string]string
		want   []netip.Addr
	}{
		{"as Kubernetes names it", parse(pod, pod6), nil, parse(pod, pod6)},
		{"though another network took the default route over", parse(pod), map[string]string{"0.0.0.0/0": multus}, parse(pod)},
		{"by the default route", nil, defaults, parse(pod, pod6)},
		{"not by a name on loopback", parse("127.0.0.1"), defaults, parse(pod, pod6)},
		{"not by a name of another machine's", parse("10.244.0.9"), defaults, parse(pod, pod6)},
		{"not by a route that the applications' network announced", nil, map[string]string{"0.0.0.0/0": pod, "::/0": "2001:db8:1::2"}, parse(pod)},
		{"of IPv6 alone", nil, map[string]string{"::/0": pod6}, parse(pod6)},
		{"not in a network of addresses for documents", nil, map[string]string{"0.0.0.0/0": pod, "192.0.2.0/24": multus, "198.51.100.0/24": multus, "203.0.113.0/24": multus}, parse(pod)},
		{"none", nil, nil, nil},
	} {
		n := &podNetwork{names: c.names, routes: c.routes}
		require.Equal(t, c.want, primaryOf(n, n.addresses()), c.name)
	}
}

func TestWhatIsKnownOfTheNetworksIsKeptForAWhile(t *testing.T) {
	g := newSiteGate(t)
	m := g.site.machine
	admits := func(peer string) bool { return m.admits(netip.MustParseAddr(pod), netip.MustParseAddr(peer)) }
	require.True(t, admits(otherPod))
	asked := g.network.asked
	require.True(t, admits(otherPod))
	require.Equal(t, asked, g.network.asked)
	g.network.routes["10.244.0.9/32"] = multus
	require.True(t, admits(otherPod))
	g.since += knownFor + 1
	require.False(t, admits(otherPod))
	g.network.routes["10.244.0.9/32"] = "10.244.0.80"
	g.since += knownFor + 1
	require.True(t, admits(otherPod), "another address of the same network")
	for i := range 2 * mostRoutes {
		admits(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
	}
	require.LessOrEqual(t, len(m.routes), mostRoutes)
	require.True(t, admits("10.1.7.255"), "there is an answer without room, too")
}

func TestTheKernelSaysWhichAddressesAreOurs(t *testing.T) {
	own := kernel{}.addresses()
	require.NotEmpty(t, own[netip.MustParseAddr("127.0.0.1")])
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), kernel{}.source(netip.MustParseAddr("127.0.0.1")))
	for _, a := range (kernel{}).named() {
		require.True(t, a.IsValid())
	}
}
