package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const registrations = "/mec_app_support/v1/registrations"

func appInfo(id string) string { return fmt.Sprintf(`{"appName":"n","appInstanceId":%q}`, id) }

// Only registered applications, and those that the operator names, may do anything.
func TestOnlyWhoIsRegisteredIsAdmitted(t *testing.T) {
	t.Parallel()
	s := start(t, append([]string{"MEP_APPLICATIONS_ADMISSION=registered", "MEP_APPLICATIONS_KNOWN=known-1,known-2"}, fast...)...)
	s.register("known-2", "a", 60)
	for _, c := range [][2]string{{"POST", "/services"}, {"GET", "/services"}, {"GET", "/services/x"}, {"PUT", "/services/x"}, {"DELETE", "/services/x"},
		{"GET", "/services/x/liveness"}, {"PATCH", "/services/x/liveness"}} {
		r := s.want(404, c[0], base+"/applications/stranger"+c[1], info("a", 1))
		require.Contains(t, r.json(t)["detail"], "appInstanceId")
	}
	for _, prefix := range []string{"", "/mep"} {
		app := "app" + strings.TrimPrefix(prefix, "/")
		r := s.want(201, "POST", prefix+registrations, appInfo(app))
		location := r.header.Get("Location")
		require.Equal(t, prefix+registrations+"/"+app, location)
		require.Equal(t, "n", r.json(t)["appName"])
		got := s.want(200, "GET", location, "")
		require.Equal(t, r.body, got.body)
		require.Equal(t, r.header.Get("ETag"), got.header.Get("ETag"))
		s.want(409, "POST", prefix+registrations, appInfo(app))
		v := s.register(app, "a", 60)
		v.beat()

		s.want(412, "PUT", location, `{"appName":"m"}`, "If-Match", `"x"`)
		s.want(400, "PUT", location, `{"appName":"m","appInstanceId":"other"}`)
		r = s.want(204, "PUT", location, `{"appName":"m"}`, "If-Match", got.header.Get("ETag"))
		require.Empty(t, r.body)
		require.Equal(t, "m", s.want(200, "GET", location, "").json(t)["appName"])
		s.want(412, "DELETE", location, "", "If-Match", got.header.Get("ETag"))

		s.kill()
		s.launch()
		require.Equal(t, "m", s.want(200, "GET", location, "").json(t)["appName"], "it survives kill -9")
		v.beat()

		s.want(204, "DELETE", location, "")
		s.want(404, "DELETE", location, "")
		s.want(404, "GET", location, "")
		s.want(404, "PUT", location, `{"appName":"m"}`)
		s.want(404, "PATCH", v.liveness, alive)
		s.want(404, "GET", base+"/services/"+v.id, "")
		require.Contains(t, s.log.String(), `"transaction":"DELETE"`)
		s.want(201, "POST", prefix+registrations, appInfo(app))
		v = s.register(app, "a", 60)
		s.kill()
		s.launch()
		require.Equal(t, 204, v.beat().status, "who left and came back loses nothing")
	}
	require.Len(t, s.want(200, "GET", base+"/services?ser_name=a", "").list(t), 3)
}

func TestThePlatformNamesAnApplicationThatDoesNot(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := map[string]bool{}
	for range 3 {
		r := s.want(201, "POST", registrations, `{"appName":"n"}`)
		id := r.json(t)["appInstanceId"].(string)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		require.Equal(t, registrations+"/"+id, r.header.Get("Location"))
		ids[id] = true
		s.register(id, "a", 60)
	}
	require.Len(t, ids, 3)
}

// Under open admission nobody must register; who does and leaves takes all along,
// and nothing of what comes later.
func TestAnApplicationThatLeavesTakesItsServicesAlong(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	watcher, its := newConsumer(t), newConsumer(t)
	s.want(201, "POST", registrations, appInfo("a"))
	s.subscribe("watcher", watcher.URL, `{"states":["ACTIVE"]}`)
	own := s.subscribe("a", its.URL, `{"serNames":["s0"]}`)
	var mine []*service
	for i := range 20 {
		mine = append(mine, s.register("a", fmt.Sprint("s", i), []int{-1, 1, 60}[i%3]))
	}
	other := s.register("b", "s0", 60)
	s.want(204, "DELETE", registrations+"/a", "")
	again := s.register("a", "s0", 60)
	for _, v := range mine {
		s.want(404, "GET", base+"/services/"+v.id, "")
		require.Equal(t, "DELETE", v.events()[len(v.events())-1])
	}
	s.want(404, "GET", own, "")
	eventually(t, "consumers are told", func() bool { return len(watcher.told()) == 22+20 })
	for i, line := range watcher.told() {
		require.Equal(t, i >= 21 && i < 41, strings.Contains(line, "REMOVED"), "%d %s", i, line)
	}
	for _, line := range its.told() {
		require.NotContains(t, line, "REMOVED", "its own subscription went first")
	}
	other.beat()
	again.beat()
	require.Len(t, s.want(200, "GET", base+"/services", "").list(t), 2)
	eventually(t, "their rows go too", func() bool { return len(microservices(s)) == 2 })
	s.want(404, "DELETE", registrations+"/a", "")
}

func TestRefusalsOfRegistrations(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.want(201, "POST", registrations, appInfo("a"))
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{400, "POST", registrations, `{}`},
		{400, "POST", registrations, ``},
		{400, "POST", registrations, `null`},
		{400, "POST", registrations, `{"appName":"n","appInstanceId":"../x"}`},
		{400, "POST", registrations + "?x=1", appInfo("b")},
		{413, "POST", registrations, `{"appName":"` + strings.Repeat("x", 70000) + `"}`},
		{404, "GET", registrations + "/none", ""},
		{404, "GET", registrations + "/..%2f..%2fcluster", ""},
		{404, "PUT", registrations + "/none", "{}"},
		{400, "PUT", registrations + "/a", "{}"},
		{404, "DELETE", registrations + "/none", ""},
		{405, "GET", registrations, ""},
		{405, "PATCH", registrations + "/a", "{}"},
		{404, "GET", "/mec_app_support/v1/", ""},
		{404, "GET", "/mec_app_support", ""},
	} {
		r := s.want(c.status, c.method, c.path, c.body)
		require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), c.path)
		require.EqualValues(t, c.status, r.json(t)["status"])
	}
	require.Equal(t, 415, s.do("POST", registrations, appInfo("b"), "Content-Type", "text/xml").status)
}
