package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Over TLS a stream is one of HTTP/2, which a write deadline that lapses would reset: it outlives the
// time between two pings, and a kill of the server, which is said once.
func TestAWatchOverTLSGoesOnWhileNothingHappensAndAfterAKill(t *testing.T) {
	t.Parallel()
	platform := mep.Secure(t, quick...)
	s := platform.As(platform.Add("reader", "reader"))
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(s.Token(platform.Add("looker", "reader"))), 0o600))
	p := proc.Command{Program: mep.Binary(), Args: []string{"watch", "--url", s.URL, "--ca", platform.CA.File, "--token-file", token}}.Start(t)
	wait.Until(t, "it begins", func() bool { return strings.Contains(p.Stdout.String(), "at revision ") })
	time.Sleep(22 * time.Second) // more than two pings
	require.Empty(t, p.Stderr.String())
	s.Kill()
	wait.Until(t, "it is said", func() bool { return strings.Contains(p.Stderr.String(), "the connection is lost: ") })
	s.Restart()
	wait.Until(t, "it goes on", func() bool { return strings.Contains(p.Stderr.String(), "the server answers again") })
	require.Equal(t, 2, strings.Count(p.Stderr.String(), "\n"), "%s", p.Stderr)
	p.Terminate()
}
