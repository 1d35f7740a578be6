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
	"testing"

	"github.com/mec-liveness/mepserver/test/mep"
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
func suspensions(s *mep.Server) int { return s.Metric(`mep_transactions_total{kind="CLAIM"}`) }

// listed tells whether consumers discover n services.
func listed(s *mep.Server, n int) bool {
	all, err := s.Discover()
	return err == nil && len(all) == n
}
