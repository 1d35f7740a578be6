package servicemgmt

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// newBatched counts heartbeats that came with others, whose request is answered 200 whatever
// becomes of them.
func newBatched() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mep_batched_heartbeats_total", Help: "Heartbeats that came many in one request, by the status that each was answered with.",
	}, []string{"code"})
	for _, code := range []string{"200", "204", "403", "404", "409", "500", "503", "507"} {
		v.WithLabelValues(code)
	}
	return v
}

// countBatched counts some of one request. What the caller may not do is told to the audit log, as
// if it had come alone.
func countBatched(v *prometheus.CounterVec, w http.ResponseWriter, status, heartbeats int) {
	v.WithLabelValues(strconv.Itoa(status)).Add(float64(heartbeats))
	if status == http.StatusForbidden {
		plugins.NoteRefused(w)
	}
}
