package terminal

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJSONIsASCIIAndTheSameValue(t *testing.T) {
	value := map[string]string{"a": "\x1b[2J\u009b\u202eä😀\n\x7f"}
	for _, print := range []func(*bytes.Buffer) error{func(b *bytes.Buffer) error { return PrintJSON(b, value) }, func(b *bytes.Buffer) error { return PrintLine(b, value) }} {
		var out bytes.Buffer
		require.NoError(t, print(&out))
		for _, b := range out.Bytes() {
			require.True(t, b == '\n' || b >= ' ' && b < 0x7f, "%q", out.String())
		}
		var got map[string]string
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.Equal(t, value, got)
	}
	require.Error(t, PrintJSON(&bytes.Buffer{}, func() {}))
}

func TestTimesAreAsPreciseAsPeopleNeed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, d := range map[string]time.Duration{"0s": -time.Second, "1.2s": 1234 * time.Millisecond, "1m5s": 65400 * time.Millisecond, "3h2m": 3*time.Hour + 2*time.Minute} {
		require.Equal(t, want, Short(d))
	}
	require.Equal(t, "1h0m", Short(time.Hour-time.Millisecond))
	require.Equal(t, "2d1h", Short(49*time.Hour))
	require.Equal(t, "-", Ago(now, time.Time{}))
	require.Equal(t, "-", In(now, time.Time{}))
	require.Equal(t, "2s ago", In(now, now.Add(-2*time.Second)))
	require.Equal(t, "in 2s", In(now, now.Add(2*time.Second)))
	require.Equal(t, "-", Cell("\x1b"))
}
