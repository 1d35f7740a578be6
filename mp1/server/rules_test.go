package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// fakeRules has one rule of each kind.
type fakeRules struct {
	dns     mp1.DNSRule
	traffic mp1.TrafficRule
	err     error
}

func newFakeRules() *fakeRules {
	return &fakeRules{dns: mp1.DNSRule{DNSRuleID: "d", DomainName: "a.example", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.1", State: mp1.RuleInactive},
		traffic: mp1.TrafficRule{TrafficRuleID: "t", FilterType: mp1.FilterFlow, TrafficFilter: []mp1.TrafficFilter{{}}, Action: mp1.ActionDrop, State: mp1.RuleInactive}}
}

func (f *fakeRules) DNSRules(_ context.Context, app string) ([]mp1.DNSRule, error) {
	if app == "none" {
		return nil, f.err
	}
	return []mp1.DNSRule{f.dns}, f.err
}

func (f *fakeRules) DNSRule(_ context.Context, _, id string) (mp1.DNSRule, error) {
	if id != f.dns.DNSRuleID {
		return mp1.DNSRule{}, ErrNoRule
	}
	return f.dns, nil
}

func (f *fakeRules) UpdateDNSRule(_ context.Context, _, _ string, u mp1.DNSRuleUpdate, c func(mp1.DNSRule) bool) (mp1.DNSRule, error) {
	next, err := u.Applied(f.dns, func(string) bool { return false })
	switch {
	case err != nil:
		return next, err
	case c != nil && !c(f.dns):
		return next, heartbeat.ErrStale
	case f.err == nil:
		f.dns = next
	}
	return f.dns, f.err
}

func (f *fakeRules) TrafficRules(context.Context, string) ([]mp1.TrafficRule, error) {
	return []mp1.TrafficRule{f.traffic}, f.err
}

func (f *fakeRules) TrafficRule(_ context.Context, _, id string) (mp1.TrafficRule, error) {
	if id != f.traffic.TrafficRuleID {
		return mp1.TrafficRule{}, ErrNoRule
	}
	return f.traffic, nil
}

func (f *fakeRules) UpdateTrafficRule(_ context.Context, _, _ string, u mp1.TrafficRuleUpdate, c func(mp1.TrafficRule) bool) (mp1.TrafficRule, error) {
	next, err := u.Applied(f.traffic)
	switch {
	case err != nil:
		return next, err
	case c != nil && !c(f.traffic):
		return next, heartbeat.ErrStale
	}
	f.traffic = next
	return next, f.err
}

func (f *fakeRules) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	return serve(Routes(newFakeRegistry(), Options{Rules: f}), method, path, body, header...)
}

// EdgeGallery's types have an array, and cannot decode the object of MEC 011.
func TestTheInterfacesOfARuleAreAnArrayOnlyUnderCompat(t *testing.T) {
	const path = mp1.AppSupportBase + "/applications/app/traffic_rules"
	one := mp1.DestinationInterface{InterfaceType: mp1.InterfaceIP, DstIPAddress: "192.0.2.1"}
	for _, c := range []struct {
		compat bool
		has    mp1.DestinationInterfaces
		want   string
	}{
		{false, mp1.DestinationInterfaces{one}, `"dstInterface":{"interfaceType":"IP","dstIpAddress":"192.0.2.1"}`},
		{true, mp1.DestinationInterfaces{one}, `"dstInterface":[{"interfaceType":"IP","dstIpAddress":"192.0.2.1"}]`},
		{true, mp1.DestinationInterfaces{one, one}, `"dstInterface":[{"interfaceType":"IP","dstIpAddress":"192.0.2.1"},{`},
		{true, nil, `"dstInterface":[]`},
	} {
		f := newFakeRules()
		f.traffic.DstInterface, f.traffic.Action = c.has, mp1.ActionPassthrough
		call := func(method, path, body string, header ...string) *httptest.ResponseRecorder {
			return serve(Routes(newFakeRegistry(), Options{Rules: f, EdgeGallery: c.compat}), method, path, body, header...)
		}
		require.Contains(t, call("GET", path, "").Body.String(), c.want)
		shown := call("GET", path+"/t", "")
		require.Contains(t, shown.Body.String(), c.want)
		changed := call("PUT", path+"/t", `{"state":"INACTIVE"}`, "If-Match", shown.Header().Get("ETag"))
		require.Equal(t, 200, changed.Code, "the ETag is that of what is shown")
		require.Contains(t, changed.Body.String(), c.want)
		if len(c.has) == 1 {
			require.Equal(t, 200, call("PUT", path+"/t", changed.Body.String()).Code, "what was shown may be sent")
		}
	}
}

func TestRulesAreReadAndChanged(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		app := prefix + mp1.AppSupportBase + "/applications/app"
		for kind, id := range map[string]string{"dns_rules": "d", "traffic_rules": "t"} {
			f := newFakeRules()
			one := app + "/" + kind + "/" + id
			w := f.call("GET", app+"/"+kind, "")
			require.Equal(t, 200, w.Code)
			require.Contains(t, w.Body.String(), `[{"`)
			w = f.call("GET", one, "")
			require.Equal(t, 200, w.Code)
			etag := w.Header().Get("ETag")
			require.NotEmpty(t, etag)

			require.Equal(t, 404, f.call("PUT", app+"/"+kind+"/other", "{", "If-Match", "x").Code, "existence first")
			require.Equal(t, 404, f.call("GET", app+"/"+kind+"/%2e%2e", "").Code)
			for _, bad := range []string{"", "{}", "{", `{"state":"ON"}`, `{"State":"ACTIVE"}`, `{"dnsRuleId":1,"trafficRuleId":1}`} {
				require.Equal(t, 400, f.call("PUT", one, bad, "If-Match", "x").Code, "then the body: %s", bad)
			}
			require.Equal(t, 412, f.call("PUT", one, `{"state":"ACTIVE"}`, "If-Match", "INVALID_ETAG").Code)
			w = f.call("PUT", one, `{"state":"ACTIVE"}`, "If-Match", etag)
			require.Equal(t, 200, w.Code)
			require.Contains(t, w.Body.String(), `"state":"ACTIVE"`)
			require.NotEqual(t, etag, w.Header().Get("ETag"))
			require.Equal(t, 412, f.call("PUT", one, `{"state":"ACTIVE"}`, "If-Match", etag).Code)
			require.Equal(t, 200, f.call("PUT", one, `{"state":"INACTIVE"}`).Code, "If-Match is optional")
			require.Equal(t, 405, f.call("DELETE", one, "").Code)
			require.Equal(t, 405, f.call("POST", app+"/"+kind, "{}").Code)
			require.Equal(t, 400, f.call("GET", one+"?x=y", "").Code)
			f.err = heartbeat.ErrFull
			require.Equal(t, 507, f.call("PUT", one, `{"state":"ACTIVE"}`).Code)
			f.err = heartbeat.ErrUnavailable
			require.Equal(t, 503, f.call("GET", app+"/"+kind, "").Code)
		}
		w := newFakeRules().call("GET", prefix+mp1.AppSupportBase+"/applications/none/dns_rules", "")
		require.Equal(t, "[]\n", w.Body.String())
	}
	f := newFakeRules()
	f.err = ErrDomainNameTaken
	require.Equal(t, 409, f.call("PUT", mp1.AppSupportBase+"/applications/app/dns_rules/d", `{"state":"ACTIVE"}`).Code)
	require.Equal(t, 404, serve(Routes(newFakeRegistry(), Options{}), "GET", mp1.AppSupportBase+"/applications/app/dns_rules", "").Code, "without anybody who keeps rules there are none")
}

// serve answers one request by the routes.
func serve(routes []Route, method, path, body string, header ...string) *httptest.ResponseRecorder {
	m := http.NewServeMux()
	for _, r := range routes {
		m.Handle(r.Pattern, r.Handler)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}
