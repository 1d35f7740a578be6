package driver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestOnlyPlainNamesAreServed(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, name := range []string{"a", "cam.edge.example", "CAM.edge.example.", "_cam._tcp.x", "*.edge.example", "xn--mnchen-3ya.x", "1.2.x", label + ".x",
		strings.Join([]string{label, label, label, label[:61]}, ".")} {
		assert.True(t, PlainName(name), name)
	}
	for _, name := range []string{"", ".", "a..b", ".a", "a..", "*", "*.", "*.*.x", "a.*.x", "a*.x", "a b", "a\tb", "a\n", `a\.b`, `a\032b`, "a/b", "ä.x", "a\x00", "a;b", "a%2eb",
		label + "a.x", strings.Join([]string{label, label, label, label}, ".")} {
		assert.False(t, PlainName(name), "%q", name)
	}
}

func TestAddressesAreOfTheirType(t *testing.T) {
	one := func(a string) []Record { return []Record{{Address: netip.MustParseAddr(a)}} }
	assert.NoError(t, Check("a", mp1.IPv4, one("10.0.0.1")))
	assert.NoError(t, Check("a", mp1.IPv6, one("2001:db8::1")))
	assert.NoError(t, Check("a", mp1.IPv6, nil))
	for _, bad := range []struct {
		t mp1.IPAddressType
		r []Record
	}{{mp1.IPv4, one("::1")}, {mp1.IPv6, one("10.0.0.1")}, {mp1.IPv6, one("::ffff:10.0.0.1")}, {mp1.IPv6, one("fe80::1%eth0")}, {mp1.IPv4, []Record{{}}}, {"", one("10.0.0.1")}, {"FQDN", nil}} {
		assert.Error(t, Check("a", bad.t, bad.r), "%v", bad)
	}
	assert.Error(t, Check("a b", mp1.IPv4, nil))
}
