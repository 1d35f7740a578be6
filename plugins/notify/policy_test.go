package notify

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestWhichAddressesMayBeDialled(t *testing.T) {
	lone := policy{loopback: true}
	wide := policy{allowed: prefixes("0.0.0.0/0", "::/0")}
	some := policy{allowed: prefixes("10.0.0.0/8", "fd00::/8", "169.254.7.0/24", "127.0.0.9/32")}
	for _, c := range []struct {
		address          string
		lone, wide, some bool
	}{
		{"127.0.0.1", true, false, false}, {"127.0.0.9", true, false, true}, {"::1", true, false, false},
		{"::ffff:127.0.0.1", true, false, false}, {"::ffff:10.1.2.3", false, true, true},
		{"10.1.2.3", false, true, true}, {"11.1.2.3", false, true, false}, {"8.8.8.8", false, true, false},
		{"fd12::1", false, true, true}, {"fe80::1", false, false, false}, {"fe80::1%eth0", false, false, false}, {"fd12::1%eth0", false, false, false},
		{"169.254.169.254", false, false, false}, {"169.254.7.1", false, false, true},
		{"0.0.0.0", false, false, false}, {"0.1.2.3", false, false, false}, {"::", false, false, false},
		{"255.255.255.255", false, false, false}, {"224.0.0.1", false, false, false}, {"ff02::1", false, false, false},
		{"::127.0.0.1", false, false, false}, {"64:ff9b::7f00:1", false, false, false}, {"64:ff9b::a9fe:a9fe", false, false, false},
		{"64:ff9b::808:808", false, true, false}, {"2002:7f00:1::1", false, false, false}, {"2002:0808:0808::1", false, true, false},
	} {
		a := netip.MustParseAddr(c.address)
		require.Equal(t, c.lone, lone.permits(a), "%s on a loopback server", c.address)
		require.Equal(t, c.wide, wide.permits(a), "%s with everything allowed", c.address)
		require.Equal(t, c.some, some.permits(a), "%s with some allowed", c.address)
	}
	require.False(t, wide.permits(netip.Addr{}))
	c := conf.Default()
	require.True(t, newPolicy(&c).loopback)
	c.Server.Listen = "0.0.0.0:1"
	require.False(t, newPolicy(&c).loopback)
}

// In EdgeGallery's pod whoever comes from there is believed, by Kong's Admin API among others.
func TestNoCallbackReachesTheSitesOwnPod(t *testing.T) {
	own := []string{"10.244.0.7", "fd00::7"}
	addresses := func() (out []netip.Addr) {
		for _, a := range own {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	wide := policy{allowed: prefixes("0.0.0.0/0", "::/0", "10.244.0.0/31", "10.244.0.6/31"), own: addresses, ports: []int{8001}}
	named := policy{allowed: prefixes("0.0.0.0/0", "::/0", "10.244.0.7/32"), own: addresses, ports: []int{8001}}
	none := policy{own: addresses, ports: []int{8001}}
	for _, c := range []struct {
		address     string
		wide, named bool
	}{
		{"10.244.0.7", false, true}, {"::ffff:10.244.0.7", false, true}, {"64:ff9b::af4:7", false, true}, {"fd00::7", false, false},
		{"10.244.0.6", true, true}, {"fd00::8", true, true}, {"127.0.0.1", false, false}, {"::1", false, false}, {"64:ff9b::7f00:1", false, false},
	} {
		a := netip.MustParseAddr(c.address)
		at := netip.AddrPortFrom(a, 8001).String()
		require.Equal(t, c.wide, wide.control("tcp", at, nil) == nil, "%s with everything allowed", c.address)
		require.Equal(t, c.named, named.control("tcp", at, nil) == nil, "%s with a host route", c.address)
		other := netip.AddrPortFrom(a, 9001).String()
		require.NoError(t, wide.control("tcp", other, nil), "no part of the platform is at %s", other)
		require.Error(t, none.control("tcp", other, nil), "nothing is allowed")
	}
	require.True(t, wide.refuses("http://10.244.0.7:8001/"))
	require.False(t, wide.refuses("http://10.244.0.7/"))
	wide.ports = []int{80, 443}
	require.True(t, wide.refuses("http://10.244.0.7/"))
	require.True(t, wide.refuses("https://127.0.0.1/"))
	own = append(own, "10.244.0.6")
	require.True(t, wide.refuses("http://10.244.0.6:80/"), "an address that came later")
	require.False(t, wide.refuses("http://name.example/"), "names are judged when they are dialled")
	c := conf.Default()
	require.Nil(t, newPolicy(&c).own, "elsewhere a consumer may be on this machine")
	c.EdgeGallery.Site, c.EdgeGallery.Mepauth = true, "https://192.0.2.1:10500"
	require.NotNil(t, newPolicy(&c).own)
	require.Subset(t, newPolicy(&c).ports, []int{8001, 8444, 8088, 30100, 10500})
}

// canary counts the connections that it gets.
func canary(t *testing.T, address string) (port string, hits *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	hits = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			hits.Add(1)
			_ = c.Close()
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port, hits
}

// lying is a resolver that knows every name. Its answers are those of answer, which gets
// how often it was asked before.
func lying(t *testing.T, answer func(n int64) netip.Addr) *net.Resolver {
	t.Helper()
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = dns.Close() })
	var asked atomic.Int64
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := dns.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = dns.WriteTo(reply(b[:n], answer(asked.Add(1))), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
}

// reply answers a DNS query (RFC 1035 §4) with one address, if it was asked for that
// family.
func reply(query []byte, a netip.Addr) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	out := append([]byte(nil), query[:end]...)
	binary.BigEndian.PutUint16(out[2:], 0x8180)
	for i := 6; i < 12; i++ {
		out[i] = 0 // no records: EDNS is not answered either
	}
	kind := binary.BigEndian.Uint16(query[end-4:])
	if kind == 1 && a.Is4() || kind == 28 && a.Is6() {
		out[7] = 1
		out = append(out, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
		out = append(out, a.AsSlice()...)
	}
	return out
}

func callbacks(t *testing.T, port4, port6 string) (out []string) {
	t.Helper()
	f, err := os.Open("testdata/callbacks.txt")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		uri, err := strconv.Unquote(`"` + line + `"`)
		require.NoError(t, err, line)
		out = append(out, strings.NewReplacer("{4}", port4, "{6}", port6).Replace(uri))
	}
	return append(out, "http://127.0.0.1:"+port4+"/"+strings.Repeat("a", 64<<10))
}

func TestNoCallbackLeavesTheAllowedNetworks(t *testing.T) {
	port4, hits4 := canary(t, "127.0.0.1:0")
	port6, hits6 := "1", new(atomic.Int64)
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
		port6, hits6 = canary(t, "[::1]:0")
	} else {
		t.Log("this machine has no IPv6: ::1 has no listener")
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port4)
	t.Setenv("http_proxy", "http://127.0.0.1:"+port4)
	t.Setenv("ALL_PROXY", "http://127.0.0.1:"+port4)
	p := policy{allowed: prefixes("192.0.2.0/24", "2001:db8:2::/48")}
	loop := func(int64) netip.Addr { return netip.MustParseAddr("127.0.0.1") }
	w := newWebhook(p, 20*time.Second, "test", lying(t, loop))
	asked := map[string]int{}
	all := callbacks(t, port4, port6)
	require.GreaterOrEqual(t, len(all), 100)
	for _, uri := range all {
		body := fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q}`, mp1.SubscriptionType, uri)
		if _, err := mp1.DecodeSubscription([]byte(body)); err != nil {
			asked["refused by its form"]++
		} else if p.refuses(uri) {
			asked["refused by its address"]++
		}
		// Whatever was refused is dialled all the same: the last check stands alone.
		r := w.post(t.Context(), delivery{id: "x", url: uri}, 0)
		require.Contains(t, []outcome{forbidden, unreachable}, r.outcome, uri)
		asked[r.outcome.String()+" when dialled"]++
	}
	require.Zero(t, hits4.Load()+hits6.Load(), "connections")
	require.Greater(t, asked["forbidden when dialled"], 60, "most must get as far as that")
	t.Logf("%d callbacks, 0 connections: %v", len(all), asked)

	// The same without the policy: the listener does count.
	p.loopback = true
	r := newWebhook(p, 20*time.Second, "test", lying(t, loop)).post(t.Context(), delivery{id: "x", url: "http://example.org:" + port4}, 0)
	require.Equal(t, unreachable, r.outcome)
	require.EqualValues(t, 1, hits4.Load())
}

// A name may say one thing when it is checked and another when it is dialled; only
// what is dialled counts.
func TestANameThatChangesItsMindIsJudgedEachTime(t *testing.T) {
	port, hits := canary(t, "127.0.0.1:0")
	good, bad := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	var now atomic.Pointer[netip.Addr]
	now.Store(&good)
	w := newWebhook(policy{allowed: prefixes("127.0.0.1/32")}, 20*time.Second, "test", lying(t, func(int64) netip.Addr { return *now.Load() }))
	to := delivery{id: "x", url: "http://rebind.example.org:" + port}
	for i, a := range []*netip.Addr{&good, &bad, &good, &bad, &bad} {
		now.Store(a)
		before := hits.Load()
		r := w.post(t.Context(), to, 0)
		if a == &good {
			require.Equal(t, before+1, hits.Load(), i)
		} else {
			require.Equal(t, forbidden, r.outcome, i)
			require.Equal(t, before, hits.Load(), i)
		}
	}
}
