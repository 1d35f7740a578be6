package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-chassis/openlog"
	"github.com/stretchr/testify/require"
)

func TestCleanLeavesNothingThatForgesALine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                         "plain",
		"über":                          "über",
		"a\r\nb":                        "ab",
		"a\x00b\x1b[2Jc\x7f":            "ab[2Jc",
		"a\u0085b\u009bc":               "abc",
		"a\u2028b\u2029c":               "abc",
		"\u202eevil\u2066x\u200f\u061c": "evilx",
		"\xff\xfeok":                    "ok",
		"%!s(MISSING) %d":               "%!s(MISSING) %d",
		`","level":"ERROR`:              `","level":"ERROR`,
		strings.Repeat("x", 1000):       strings.Repeat("x", 256),
		strings.Repeat("é", 200):        strings.Repeat("é", 128),
		"x" + strings.Repeat("é", 200):  "x" + strings.Repeat("é", 127),
	} {
		require.Equal(t, want, Clean(in))
	}
}

func TestOneLineForEachEvent(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, "INFO")
	l.Debug("not shown")
	l.Info("a\nb", openlog.WithTags(openlog.Tags{"k\n": "v\r\n\u202e", "n": 7}), openlog.WithErr(errors.New("e\n"))) //nolint:revive // a text from outside
	l.Fatal("the process goes on")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &m))
	require.Equal(t, "ab", m["msg"])
	require.Equal(t, "v", m["k"])
	require.EqualValues(t, 7, m["n"])
	require.Equal(t, "e", m["error"])
}

func TestWhatIsLoggedByLogSlogForgesNoLineEither(t *testing.T) {
	var out bytes.Buffer
	l := NewSlog(&out, "INFO")
	l.Debug("not shown")
	l.With("w\n", "v\u202e").WithGroup("g").Warn("a\u2028b", "k\n", "v\r\n", "err", errors.New("e\n"), "wait", 1500*time.Millisecond, "n", 7, "list", []string{"x\n"}, slog.Group("in", "s", "\x1b[2J")) //nolint:revive // a text from outside
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	var m map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &m))
	delete(m, "time")
	require.Equal(t, map[string]any{"level": "WARN", "msg": "ab", "w": "v",
		"g": map[string]any{"k": "v", "err": "e", "wait": "1.5s", "n": 7.0, "list": "[x]", "in": map[string]any{"s": "[2J"}}}, m)
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\n\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		c := Clean(s)
		if len(c) > 256 || !utf8.ValidString(c) || Clean(c) != c {
			t.Fatalf("%q became %q", s, c)
		}
		var out bytes.Buffer
		New(&out, "INFO").Info(s, openlog.WithTags(openlog.Tags{s: s}))
		NewSlog(&out, "INFO").Info(s, s, s)
		if bytes.Count(out.Bytes(), []byte("\n")) != 2 || !utf8.Valid(out.Bytes()) {
			t.Fatalf("%q made %q", s, out.Bytes())
		}
	})
}
