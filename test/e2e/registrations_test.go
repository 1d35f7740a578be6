package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const registrations = "/mec_app_support/v1/registrations"

func appInfo(id string) string { return fmt.Sprintf(`{"appName":"n","appInstanceId":%q}`, id) }

// Only registered applications, and those that the operator names, may do anything.
func TestOnlyWhoIsRegisteredIsAdmitted(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append([]string{"MEP_APPLICATIONS_ADMISSION=registered", "MEP_APPLICATIONS_KNOWN=known-1,known-2"}, mep.Fast...)...)
	s.Register("known-2", "a", 60)
	for _, c := range [][2]string{{"POST", "/services"}, {"GET", "/services"}, {"GET", "/services/x"}, {"PUT", "/services/x"}, {"DELETE", "/services/x"},
		{"GET", "/services/x/liveness"}, {"PATCH", "/services/x/liveness"}} {
		r := s.Want(404, c[0], mep.Base+"/applications/stranger"+c[1], mep.Info("a", 1))
		require.Contains(t, r.Object(t)["detail"], "appInstanceId")
	}
	for _, prefix := range []string{"", "/mep"} {
		app := "app" + strings.TrimPrefix(prefix, "/")
		r := s.Want(201, "POST", prefix+registrations, appInfo(app))
		location := r.Header.Get("Location")
		require.Equal(t, prefix+registrations+"/"+app, location)
		require.Equal(t, "n", r.Object(t)["appName"])
		got := s.Want(200, "GET", location, "")
		require.Equal(t, r.Body, got.Body)
		require.Equal(t, r.Header.Get("ETag"), got.Header.Get("ETag"))
		s.Want(409, "POST", prefix+registrations, appInfo(app))
		v := s.Register(app, "a", 60)
		v.Beat()

		s.Want(412, "PUT", location, `{"appName":"m"}`, "If-Match", `"x"`)
		s.Want(400, "PUT", location, `{"appName":"m","appInstanceId":"other"}`)
		r = s.Want(204, "PUT", location, `{"appName":"m"}`, "If-Match", got.Header.Get("ETag"))
		require.Empty(t, r.Body)
		require.Equal(t, "m", s.Want(200, "GET", location, "").Object(t)["appName"])
		s.Want(412, "DELETE", location, "", "If-Match", got.Header.Get("ETag"))

		s.Kill()
		s.Restart()
		require.Equal(t, "m", s.Want(200, "GET", location, "").Object(t)["appName"], "it survives kill -9")
		v.Beat()

		s.Want(204, "DELETE", location, "")
		s.Want(404, "DELETE", location, "")
		s.Want(404, "GET", location, "")
		s.Want(404, "PUT", location, `{"appName":"m"}`)
		s.Want(404, "PATCH", v.Liveness, mep.Alive)
		s.Want(404, "GET", mep.Base+"/services/"+v.ID, "")
		logged(s, `"transaction":"DELETE"`)
		s.Want(201, "POST", prefix+registrations, appInfo(app))
		v = s.Register(app, "a", 60)
		s.Kill()
		s.Restart()
		require.Equal(t, 204, v.Beat().Status, "who left and came back loses nothing")
	}
	require.Len(t, s.Want(200, "GET", mep.Base+"/services?ser_name=a", "").List(t), 3)
}

func TestThePlatformNamesAnApplicationThatDoesNot(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	ids := map[string]bool{}
	for range 3 {
		r := s.Want(201, "POST", registrations, `{"appName":"n"}`)
		id := r.Object(t)["appInstanceId"].(string)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		require.Equal(t, registrations+"/"+id, r.Header.Get("Location"))
		ids[id] = true
		s.Register(id, "a", 60)
	}
	require.Len(t, ids, 3)
}

// Under open admission nobody must register; who does and leaves takes all along,
// and nothing of what comes later.
func TestAnApplicationThatLeavesTakesItsServicesAlong(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	watcher, its := consumer.Start(t), consumer.Start(t)
	s.Want(201, "POST", registrations, appInfo("a"))
	s.Subscribe("watcher", watcher.URL, `{"states":["ACTIVE"]}`)
	own := s.Subscribe("a", its.URL, `{"serNames":["s0"]}`)
	var mine []*mep.Service
	for i := range 20 {
		mine = append(mine, s.Register("a", fmt.Sprint("s", i), []int{-1, 1, 60}[i%3]))
	}
	other := s.Register("b", "s0", 60)
	s.Want(204, "DELETE", registrations+"/a", "")
	again := s.Register("a", "s0", 60)
	for _, v := range mine {
		s.Want(404, "GET", mep.Base+"/services/"+v.ID, "")
		wait.Until(t, "its end is logged", func() bool {
			all, _ := events(v)
			return len(all) > 0 && all[len(all)-1] == "DELETE"
		})
	}
	s.Want(404, "GET", own, "")
	wait.Until(t, "consumers are told", func() bool { return len(watcher.Changes()) == 22+20 })
	for i, line := range watcher.Changes() {
		require.Equal(t, i >= 21 && i < 41, strings.Contains(line, "REMOVED"), "%d %s", i, line)
	}
	told := map[string]int{}
	for _, line := range its.Changes() {
		told[line]++
	}
	require.LessOrEqual(t, told["s0 ADDED ACTIVE"], 2, "its own subscription went with it: %v", told)
	other.Beat()
	again.Beat()
	require.Len(t, s.Want(200, "GET", mep.Base+"/services", "").List(t), 2)
	wait.Until(t, "their rows go too", func() bool { return len(microservices(s)) == 2 })
	s.Want(404, "DELETE", registrations+"/a", "")
}

func TestRefusalsOfRegistrations(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	s.Want(201, "POST", registrations, appInfo("a"))
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
		r := s.Want(c.status, c.method, c.path, c.body)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"), c.path)
		require.EqualValues(t, c.status, r.Object(t)["status"])
	}
	s.Want(415, "POST", registrations, appInfo("b"), "Content-Type", "text/xml")
}
