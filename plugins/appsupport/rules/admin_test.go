package rules

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeBase is a base plugin over the store in memory.
type fakeBase struct {
	plugins.Base // nil: nothing else is asked for
	*fakeStore
	mux    *http.ServeMux
	access map[string]server.Access
}

func (b *fakeBase) Alone() bool { return true }
func (b *fakeBase) Rank() int   { return 0 }
func (b *fakeBase) Handle(pattern, _ string, a server.Access, h http.Handler) {
	b.mux.Handle(pattern, h)
	b.access[pattern] = a
}

// These are in both of the embedded.
func (b *fakeBase) SaveRules(ctx context.Context, r plugins.Rules) (heartbeat.Revision, error) {
	return b.fakeStore.SaveRules(ctx, r)
}

func (b *fakeBase) SaveRulesWithNames(ctx context.Context, r plugins.Rules, names heartbeat.Revision) (heartbeat.Revision, error) {
	return b.fakeStore.SaveRulesWithNames(ctx, r, names)
}
func (b *fakeBase) RuleNames(ctx context.Context) (heartbeat.Revision, error) {
	return b.fakeStore.RuleNames(ctx)
}
func (b *fakeBase) EraseRules(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	return b.fakeStore.EraseRules(ctx, app, at)
}
func (b *fakeBase) Rules(ctx context.Context, app string) (plugins.Rules, error) {
	return b.fakeStore.Rules(ctx, app)
}
func (b *fakeBase) FollowRules(_ context.Context, r plugins.RulesReader, _ func(string, error)) {
	b.follow(r)
}

func TestAdministratorsDefineRules(t *testing.T) {
	b := &fakeBase{fakeStore: newFakeStore(), mux: http.NewServeMux(), access: map[string]server.Access{}}
	ready := true
	h := &plugins.Host{Log: plugins.NewLog(io.Discard, "INFO"), Base: b, Ready: func() bool { return ready }}
	h.Config.Rules.DNS.Driver = "nothing"
	_, err := setup(t.Context(), h)
	require.ErrorContains(t, err, "no driver")
	h.Config.Rules.DNS.Driver, h.Config.Rules.DNS.Zone = conf.DNSNone, "Edge.Example."
	h.Admitted = func(_ context.Context, app string) (bool, error) { return app != "stranger", nil }
	stop, err := setup(t.Context(), h)
	require.NoError(t, err)
	defer func() { require.NoError(t, stop(t.Context())) }()
	do := func(method, app, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, httptest.NewRequest(method, "/mec_liveness/v1/applications/"+app+"/rules", strings.NewReader(body)))
		return w
	}
	require.Equal(t, 503, do("GET", "app", "").Code, "before the rules are loaded")
	b.follow(h.Rules.(*keeper))
	require.Equal(t, server.Reading, b.access["GET "+Path])
	require.Equal(t, server.Administrating, b.access["PUT "+Path])
	require.Len(t, h.AdminRoutes(), 3)

	def := `{"dnsRules":[{"dnsRuleId":"d","domainName":"a.edge.example","ipAddressType":"IP_V4","ipAddress":"192.0.2.1","state":"ACTIVE"}]}`
	w := do("PUT", "app", def)
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"state":"ACTIVE","wantedState":"ACTIVE"`)
	require.Equal(t, w.Body.String(), do("GET", "app", "").Body.String())
	require.Equal(t, 404, do("PUT", "stranger", def).Code)
	require.Equal(t, 404, do("GET", "%2e%2e", "").Code)
	require.Equal(t, 405, do("DELETE", "app", "").Code)
	require.Equal(t, 413, do("PUT", "app", strings.Repeat(" ", maxDefinition+1)).Code)
	w = do("PUT", "app", strings.ReplaceAll(def, "a.edge", "a.other"))
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "dnsRules[0].domainName: must be in the zone edge.example")
	b.set(func(s *fakeStore) { s.full = heartbeat.ErrFull })
	require.Equal(t, 507, do("PUT", "app", strings.ReplaceAll(def, "192.0.2.1", "192.0.2.2")).Code)
	require.Equal(t, 200, do("PUT", "app", def).Code, "what is so already needs no room")
	ready = false
	require.Equal(t, 503, do("GET", "app", "").Code)
}

func TestNamesHaveOneForm(t *testing.T) {
	for text, want := range map[string]string{"a.example": "a.example", "A.Example.": "a.example", "Bücher.Example": "xn--bcher-kva.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"_sip._tcp.example": "_sip._tcp.example", "mep": "mep", "1.example": "1.example"} {
		got, err := domainName(text, "")
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", ".", "a..b", "-a.example", "a-.example", "*.example", "*", "a.*.example", "192.0.2.1", "1.2.3", "::1", "localhost", "x.LOCALHOST.", "a b", "a\tb.example", "a\nb", "a/b",
		"a.example..", "xn--\u00fc.example", "\u202ea.example", "a\u3002\u3002b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "example", "a#b.example"} {
		_, err := domainName(text, "")
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad, "%q", text)
	}
	for text, in := range map[string]bool{"edge.example": true, "a.edge.example": true, "aedge.example": false, "example": false, "a.edge.example.org": false} {
		_, err := domainName(text, "edge.example")
		require.Equal(t, in, err == nil, text)
	}
}

func FuzzDomainName(f *testing.F) {
	for _, s := range []string{"a.example", "Bücher.example.", "*.a", "1.2.3.4", "xn--a", "a。b", "ß.example", "\u200d.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := domainName(text, "")
		if err != nil {
			return
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(name) > mostName {
			t.Fatalf("%q became %q", text, name)
		}
		if twice, err := domainName(name, ""); err != nil || twice != name {
			t.Fatalf("%q became %q, and that %q: %v", text, name, twice, err)
		}
	})
}

// Ten thousand applications, of which nothing changes, cost no writes, and a driver that takes
// everything at once is given all of them by few calls.
func TestManyApplicationsCostWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		const many = 10000
		for i := range many {
			rule := aRule("d", fmt.Sprintf("n%d.example", i), "192.0.2.1", mp1.RuleActive)
			app := fmt.Sprint("app", i)
			s.at++
			s.docs[app] = plugins.Rules{App: app, At: s.at, DNS: []plugins.DNSRule{{Defined: rule, Rule: rule, Outcome: plugins.RuleOutcome{State: mp1.RuleActive, Driver: "fake"}}}}
		}
		r := newReplica(t, s, fakeWhole{dns}, 0)
		defer r.stop()
		time.Sleep(time.Second)
		require.Equal(t, many, dns.size())
		time.Sleep(10 * resyncEvery)
		require.Zero(t, s.written())
		require.LessOrEqual(t, dns.count(), 12)
	})
}
