package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// A platform and an application say what they like. It must not forge a line of the log
// of the program that embeds the agent, nor change what a terminal shows.
func TestNothingFromOutsideReachesTheLogAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		evil := "x\u202e\x1b[2J\u2028" + strings.Repeat("y", 1<<20)
		f.respond = func(r *http.Request, n int) response {
			switch {
			case r.Method == http.MethodPost && n < 3:
				return response{err: errors.New(evil)}
			case r.Method == http.MethodPost:
				ten := 10
				return respond(201, mp1.ServiceInfo{SerInstanceID: "1", State: mp1.State(evil[:1000]), LivenessInterval: &ten,
					Links: &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: "http://" + "other.example/liveness"}}})
			}
			return response{}
		}
		var out bytes.Buffer
		o := options(f, 1)
		o.Log = slog.New(slog.NewJSONHandler(&out, nil))
		r := run(t, o)
		advance(interval)
		require.NoError(t, r.stop())
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.GreaterOrEqual(t, len(lines), 3, out.String())
		for _, line := range lines {
			var m map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &m))
			for key, value := range m {
				if text, ok := value.(string); ok {
					require.LessOrEqual(t, len(text), maxText, key)
					require.NotContains(t, text, "\u202e")
					require.NotContains(t, text, "\u2028")
					require.NotContains(t, text, "\x1b")
				}
			}
		}
		require.Contains(t, out.String(), "x[2Jyyy")
	})
}
