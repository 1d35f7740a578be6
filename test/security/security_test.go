// Package security attacks the built program over its whole route table, and shows that no
// request writes into the log, reads or changes what belongs to another application, or
// holds up others by being slow, large or many. It knows the routes and the wire; it must
// not know how the program defends itself.
//
// It needs nothing but Go and half a minute, and is part of go test ./...; one test skips
// where there is no curl.
package security

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/test/mep"
)

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

// patterns are those of the whole route table, "GET /path" and "/path" alike.
func patterns() (out []string) {
	for _, r := range server.Routes(nil, server.Options{Subscriptions: none{}, Registrations: none{}, Timing: none{}}) {
		out = append(out, r.Pattern)
	}
	slices.Sort(out)
	return out
}

// none lets the route table have all its rows; nothing is asked of it.
type none struct {
	server.Subscriptions
	server.Registrations
	server.Timing
}

// send writes a request as it is and reads the answer's status; 0: the connection was
// closed without one.
func send(t *testing.T, s *mep.Server, request []byte) int {
	t.Helper()
	c, err := net.Dial("tcp", s.Listen)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	if _, err := c.Write(request); err != nil {
		return 0 // it was refused before it was sent to its end
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// logged are the lines of the log so far, each of which must be one of ours.
func logged(t *testing.T, s *mep.Server) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(s.Log()) {
		m, fault := read([]byte(line))
		require.Empty(t, fault, "%q", line)
		out = append(out, m)
	}
	return out
}

// read reads one line of the log and says what is wrong with it.
func read(line []byte) (m map[string]any, fault string) {
	if json.Unmarshal(line, &m) != nil || m["time"] == nil || m["level"] == nil || m["msg"] == nil {
		return nil, "not a line of ours"
	}
	if m["msg"] == "forged" {
		return nil, "forged"
	}
	unwanted := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	}
	for name, value := range m {
		text := name + fmt.Sprint(value)
		switch {
		case strings.Contains(text, canary):
			return nil, "the secret"
		case strings.ContainsFunc(text, unwanted):
			return nil, "a control character"
		case len(text) > 300:
			return nil, "too long"
		}
	}
	return m, ""
}

func TestTheLogIsReadStrictly(t *testing.T) {
	line := func(member string) string {
		return `{"time":"t","level":"INFO","msg":"m",` + member + `}`
	}
	for bad, fault := range map[string]string{
		"http: panic serving": "not a line of ours", `{"time":"t","level":"INFO"}`: "not a line of ours", line(`"a":"b"`) + line(`"a":"b"`): "not a line of ours",
		`{"time":"now","level":"ERROR","msg":"forged"}`: "forged", line(`"a":"` + canary + `"`): "the secret", line(`"` + canary + `":1`): "the secret",
		line(`"a":["\n"]`): "a control character", line(`"a":"\u202e"`): "a control character", line(`"a":"\u2028"`): "a control character",
		line(`"a":"` + strings.Repeat("x", 300) + `"`): "too long", line(`"a":1`): "",
	} {
		_, got := read([]byte(bad + "\n"))
		require.Equal(t, fault, got, bad)
	}
}
