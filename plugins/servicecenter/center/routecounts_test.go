package center

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// Our routes do not pass service-center's own counting, which takes another goroutine for
// each request; they are counted all the same, before their answer is seen.
func TestOurRoutesAreCountedAsServiceCombCounts(t *testing.T) {
	status := map[string]int{"PATCH": 204, "GET": 200, "PUT": 503, "POST": 0}
	center.Handle("/mec_counted", "test.Counted", server.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := status[r.Method]; s != 0 {
			w.WriteHeader(s)
		}
		if r.Method == "DELETE" {
			panic("as a test asks for")
		}
	}))
	for _, method := range []string{"PATCH", "PATCH", "GET", "PUT", "POST", "DELETE"} {
		res, err := http.DefaultClient.Do(web.Request(t, method, "/mec_counted", ""))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	_, text := web.Get(t, "/metrics")
	for want, of := range map[string]string{
		`_request_total{api="test.Counted",code="204",domain="default"`: `method="PATCH"} 2`,
		`_request_total{api="test.Counted",code="200",domain="default"`: `method="GET"} 1`,
		`_request_total{api="test.Counted",code="503",domain="default"`: `method="PUT"} 1`,
		`_request_total{api="test.Counted",code="500",domain="default"`: `method="DELETE"} 1`,
		`_success_total{api="test.Counted",code="200",domain="default"`: `method="POST"} 1`,
		`_microseconds_count{api="test.Counted",domain="default"`:       `method="PATCH"} 2`,
	} {
		found := false
		for line := range strings.Lines(text) {
			found = found || strings.Contains(line, want) && strings.HasSuffix(strings.TrimSpace(line), of)
		}
		require.True(t, found, "%s ... %s", want, of)
	}
	require.NotContains(t, text, `_success_total{api="test.Counted",code="204"`, "service-center counts 200 to 202")
}
