package plugins

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an endpoint is called at the gateway goes into URLs, and tells our entries from others.
func TestANameAtTheGatewayIsOneOrIsNone(t *testing.T) {
	const own = "0123456789abcdef0123"
	for name, serName := range map[string]string{"demo" + own: "demo", own: "", "a_b-" + own: "a_b-", strings.Repeat("a", GatewayPrefix) + own: strings.Repeat("a", GatewayPrefix)} {
		got, ok := GatewayName(name)
		require.True(t, ok, name)
		require.Equal(t, serName, got)
	}
	for _, name := range []string{"", "mepserver", own[1:], "demo" + strings.ToUpper(own), "demo" + own + "g", "a/b" + own, "a.b" + own, "ä" + own, "\x00" + own, strings.Repeat("a", GatewayPrefix+1) + own} {
		_, ok := GatewayName(name)
		require.False(t, ok, "%q", name)
	}
}
