package identity

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// BenchmarkTheGatewaysHeartbeat is what it costs to find out for whom the gateway passes a heartbeat
// on, beside what a proxy's header costs.
func BenchmarkTheGatewaysHeartbeat(b *testing.B) {
	g := newSiteGate(b)
	g.proxy = newProxy(conf.ProxyIdentity{Header: "x-app", From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	for name, sent := range map[string]func(*http.Request){
		"gateway": passedOn("app"),
		"proxy":   func(r *http.Request) { with("x-app", "app")(r); from("10.1.2.3:4")(r) },
	} {
		r, w := httptest.NewRequest("PUT", services+"/x/liveness", nil), httptest.NewRecorder()
		sent(r)
		h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

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
