package identity

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// BenchmarkAuditedHeartbeat is what the audit log, and the pace of requests, cost a heartbeat.
func BenchmarkAuditedHeartbeat(b *testing.B) {
	a := newAudit(func(auditLine) {}, time.Now)
	l := newLimits(conf.Default().Limits, true, func() time.Duration { return 0 }, func(kind, scope) {})
	a.holder = &holder{slots: &slots{most: 1}, limits: l}
	c := &plugins.Caller{Name: "app-1"}
	h := a.Handler(a.holder.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		plugins.NoteCaller(w, c)
		plugins.NoteRoute(w, "mp1.PatchLiveness", false)
	})))
	r, w := httptest.NewRequest("PATCH", services+"/x/liveness", nil), httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
