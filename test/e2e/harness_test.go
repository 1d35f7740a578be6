// Package e2e drives the built mepserver and mep-agent over HTTP, as their users do, and
// shows that what they are told holds: over the whole life of a service, over stops,
// restarts, kills and full stores, and in what ServiceComb's clients see of it. It knows
// the binaries, their flags, their environment and the wire; it must not know anything of
// the program's inside.
//
// Its quick tests need nothing but Go and are part of go test ./... The others need two
// minutes, ServiceComb's clients the Go module proxy:
//
//	go test ./test/e2e -run .
package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

func TestMain(m *testing.M) {
	// They wait far more than they compute, so more run together than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(mep.Main(m))
}

// instance is the service as service-center's own API shows it; nil: it does not.
func instance(v *mep.Service) map[string]any {
	path := "/v4/default/registry/microservices/" + v.ID[:32] + "/instances/" + v.ID[32:]
	a := v.Server.Do(http.MethodGet, path, "", "X-ConsumerId", v.ID[:32])
	if a.Status != http.StatusOK {
		return nil
	}
	m, _ := a.Object(v.Server.T())["instance"].(map[string]any)
	return m
}

// suspensions counts the claims that the server made.
func suspensions(s *mep.Server) int { return s.Metric(claimed) }

const claimed = `mep_transactions_total{kind="CLAIM"}`

// counted waits until a counter has come to n, beyond which it may not be: what the engine did is
// counted and logged a moment after answers show it.
func counted(s *mep.Server, n int, series string) {
	s.T().Helper()
	wait.Until(s.T(), fmt.Sprint(series, " comes to ", n), func() bool { return s.Metric(series) >= n })
	require.Equal(s.T(), n, s.Metric(series), series)
}

// logged waits until the server has logged a text.
func logged(s *mep.Server, text string) {
	s.T().Helper()
	wait.Until(s.T(), "the log says "+text, func() bool { return strings.Contains(s.Stderr.String(), text) })
}

// listed tells whether consumers discover n services.
func listed(s *mep.Server, n int) bool {
	all, err := s.Discover()
	return err == nil && len(all) == n
}
