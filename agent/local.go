package agent

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// LocalOptions say what Agent.Local serves beside /health, /ready and /status.
type LocalOptions struct {
	// Metrics are served as /metrics. nil: there is no /metrics.
	Metrics prometheus.Gatherer
	// EdgeGallery adds the local API of EdgeGallery's agent, /mep-agent/v1/token and
	// /mep-agent/v1/endpoint/{serName}. It hands the token to whoever asks, so that it must be
	// served on loopback only.
	EdgeGallery bool
}

// Local is a handler of the agent's own pages, for probes and people:
//
//	GET /health   200 while the process runs
//	GET /ready    200 if Ready, else 503
//	GET /status   Status as JSON
//	GET /metrics  if LocalOptions.Metrics is given
//
// The Host of a request must be an IP address or localhost, else it is answered 421: a page
// of the web could have a name of its own resolved to this address, and read the answers.
func (a *Agent) Local(o LocalOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if a.Ready() {
			writeText(w, http.StatusOK, "ready")
			return
		}
		writeText(w, http.StatusServiceUnavailable, "not every service is alive; see /status")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, a.Status()) })
	if o.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	}
	if o.EdgeGallery {
		mux.HandleFunc("GET /mep-agent/v1/token", a.showToken)
		mux.HandleFunc("GET /mep-agent/v1/endpoint/{serName}", a.showEndpoint)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalHost(r.Host) {
			writeText(w, http.StatusMisdirectedRequest, "use the address, not a name")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// isLocalHost reports whether host, with or without a port, is an IP address or localhost.
func isLocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// writeText answers with one line of text.
func writeText(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s + "\n"))
}

// writeJSON answers with v as JSON.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	b, err := json.Marshal(v)
	if err != nil { // not for what is given here
		b = []byte("null")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
