package edgegallery

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const hex20 = "0123456789abcdef0123"

func logEntry(service, verb, uri string, began int64) string {
	return fmt.Sprintf(`{"service":{"name":%q},"request":{"method":%q,"headers":{"authorization":"Bearer secret.secret.secret"}},"upstream_uri":%q,"started_at":%d}`, service, verb, uri, began)
}

// Kong tells of every request that it has passed on, and repeats what is not answered with 2xx.
func TestCallsAreCountedByServiceAndDay(t *testing.T) {
	p, r, _ := newPlatform()
	by := serving(p)
	r.add("app-1", "s1", "demo", mp1.Active, nil)
	r.add("app-2", "s2", "demo", mp1.Active, nil)
	r.add("app-2", "s3", "demo2", mp1.Active, nil)
	const path = "/mep/service_govern/v1/kong_log"
	now := p.calls.today() * dayMS
	for _, body := range []string{
		logEntry("demo"+hex20, "GET", "/demo"+hex20+"/x", now), logEntry("demo"+hex20, "POST", "/", 0), logEntry("demo"+hex20, "GET", "/", now+3*dayMS),
		logEntry("demo"+hex20, "GET", "/", now-1), logEntry("demo"+hex20, "GET", "/", now-6*dayMS), logEntry("demo"+hex20, "GET", "/", now-7*dayMS),
		logEntry("demo", "GET", "/", now), logEntry("nobodys"+hex20, "GET", "/", now),
		logEntry("mepserver", "GET", "/mep/mec_service_mgmt/v1/services?ser_name=x", now), logEntry("mepserver", "POST", "/mep/mec_service_mgmt/v1/services", now),
		logEntry("mepserver", "POST", "/mep/mec_service_mgmt/v1/applications/5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f/services", now-dayMS),
		logEntry("mepserver", "PUT", "/mep/mec_service_mgmt/v1/applications/5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f/services/s/liveness", now),
		"{}",
	} {
		status, answered := ask(t, by, http.MethodPost, path, body)
		require.Equal(t, http.StatusNoContent, status, "%s: %s", body, answered)
	}
	_, body := ask(t, by, http.MethodGet, path, "")
	require.JSONEq(t, `{"data":{"appServices":[{"name":"demo","desc":"","callTimes":[3,1,0,0,0,0,1]},{"name":"demo2","desc":"","callTimes":[0,0,0,0,0,0,0]}],
		"mepServices":[{"name":"serviceRegister","desc":"","callTimes":[0,1,0,0,0,0,0]},{"name":"serviceDiscovery","desc":"","callTimes":[1,0,0,0,0,0,0]}]},"retCode":0,"message":"","params":""}`, body)
	require.NotContains(t, fmt.Sprintf("%+v", p.calls.services), "secret")

	status, _ := ask(t, by, http.MethodPost, path, "[]")
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = ask(t, by, http.MethodPost, path, `{"a":"`+strings.Repeat("a", maxEntry)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
}

func TestDaysGoBy(t *testing.T) {
	var w week
	w.add(100, 100)
	w.add(99, 100)
	w.add(101, 101)
	require.Equal(t, [weekDays]int{1, 1, 1}, w.times(101))
	w.add(94, 101) // of a week ago
	require.Equal(t, [weekDays]int{0, 0, 0, 0, 0, 1, 1}, w.times(106))
	require.Equal(t, [weekDays]int{}, w.times(108))
	require.Equal(t, [weekDays]int{}, w.times(1<<40))
	w.add(1<<40, 1<<40)
	require.Equal(t, [weekDays]int{1}, w.times(1<<40-5), "a clock that went back")
}

// Whoever may POST can name any service.
func TestCallsOfFewServicesAreKept(t *testing.T) {
	day := int64(100)
	c := newCalls(func() int64 { return day * dayMS * 1e6 })
	all := func(string) bool { return true }
	for i := range maxNames + 5 {
		c.add(mp1.GatewayCall{Service: fmt.Sprint("s", i, hex20)}, all)
	}
	require.Len(t, c.services, maxNames)
	require.InDelta(t, 5, testutil.ToFloat64(c.dropped), 0)
	day += weekDays
	c.add(mp1.GatewayCall{Service: "new" + hex20}, all)
	require.Len(t, c.services, 1, "those that nobody called for a week make room")
	c.add(mp1.GatewayCall{Service: "unknown" + hex20}, func(string) bool { return false })
	require.Len(t, c.services, 1)
}
