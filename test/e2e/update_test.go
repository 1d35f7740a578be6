package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// with changes members of a ServiceInfo; nil removes one.
func with(t *testing.T, body string, changes map[string]any) string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &m))
	for name, v := range changes {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

// events are what was told of the instance so far, as transactions in their order, and whether
// they are counted by one. The log has one line for each, with the number of the event; it may
// come a moment after the answer to who caused it.
func events(v *mep.Service) (out []string, byOne bool) {
	told := map[int]string{} // two that are carried out together may be logged in either order
	for line := range strings.Lines(v.Server.Log()) {
		var e struct {
			ID          string `json:"serInstanceId"`
			Transaction string
			Seq         int
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.ID == v.ID && told[e.Seq] == "" {
			told[e.Seq] = e.Transaction // a later line of the same number changed no event
		}
	}
	for seq := 1; told[seq] != ""; seq++ {
		out = append(out, told[seq])
		delete(told, seq)
	}
	return out, len(told) == 0
}

// wantEvents waits until so many events of the instance are logged, and wants them to be these.
func wantEvents(v *mep.Service, want ...string) {
	v.Server.T().Helper()
	var got []string
	wait.Until(v.Server.T(), "its events are logged", func() bool {
		all, byOne := events(v)
		got = all
		return byOne && len(all) >= len(want)
	})
	require.Equal(v.Server.T(), want, got)
}

func TestPUTReplacesWhatWasRegistered(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	body := with(t, mep.Info("old name", 60), map[string]any{"scopeOfLocality": "ZONE", "serCategory": map[string]string{"href": "/c", "id": "c1", "name": "n", "version": "1"}})
	v := s.RegisterInfo("a", body)
	before := s.Want(200, "GET", v.Location, "")
	require.Equal(t, v.Created.Header.Get("ETag"), before.Header.Get("ETag"))

	put := with(t, mep.Info("new name", -1), map[string]any{"version": "2.0", "transportInfo": nil, "serInstanceId": "mine", "consumedLocalOnly": false})
	r := s.Want(200, "PUT", v.Location, put)
	m := r.Object(t)
	require.Equal(t, "new name", m["serName"])
	require.Equal(t, "2.0", m["version"])
	require.Equal(t, false, m["consumedLocalOnly"])
	require.Equal(t, v.ID, m["serInstanceId"], "the client's own is ignored")
	require.NotContains(t, m, "serCategory", "what a full representation leaves out is gone")
	require.Equal(t, "MEC_HOST", m["scopeOfLocality"])
	require.Equal(t, before.Object(t)["transportInfo"], m["transportInfo"], "the transport is kept when none is sent")
	require.EqualValues(t, 60, m["livenessInterval"], "so is the interval")
	require.NotEqual(t, before.Header.Get("ETag"), r.Header.Get("ETag"))
	after := s.Want(200, "GET", v.Location, "")
	require.Equal(t, r.Body, after.Body, "what was acknowledged, the next answer shows")
	require.Equal(t, r.Header.Get("ETag"), after.Header.Get("ETag"))
	for query, n := range map[string]int{"ser_name=old%20name": 0, "ser_name=new%20name": 1, "ser_category_id=c1": 0, "scope_of_locality=ZONE": 0} {
		require.Len(t, s.Want(200, "GET", mep.Base+"/services?"+query, "").List(t), n, query)
	}
	wantEvents(v, "REGISTER", "REWRITE") // one event for one change

	s.Want(200, "PUT", v.Location, string(after.Body))
	s.Want(200, "PUT", v.Location, put)
	require.Equal(t, after.Header.Get("ETag"), s.Want(200, "GET", v.Location, "").Header.Get("ETag"))
	wantEvents(v, "REGISTER", "REWRITE") // nothing changed, nobody is told
}

// The rows of service-center follow the names: the old one goes with its last
// instance, and an instance that keeps the name keeps the row.
func TestARenamedServiceHasItsNewNameInServiceCenter(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v, twin := s.Register("a", "one", 1), s.Register("a", "one", 60)
	require.Equal(t, v.ID[:32], twin.ID[:32], "two instances of one microservice")
	names := func() string {
		var out []string
		for _, row := range microservices(s) {
			m := row.(map[string]any)
			instances, _ := m["instances"].([]any)
			for range instances {
				svc := m["microService"].(map[string]any)
				out = append(out, fmt.Sprint(svc["serviceName"], " ", svc["version"]))
			}
		}
		return strings.Join(slices.Sorted(slices.Values(out)), ", ")
	}
	wait.Until(t, "one row with two", func() bool { return names() == "one 1.2.3, one 1.2.3" })
	rename := func(v *mep.Service, name, version string) {
		s.Want(200, "PUT", v.Location, with(t, mep.Info(name, -1), map[string]any{"version": version}))
	}
	rename(v, "two", "1.2.3")
	wait.Until(t, "each has its own row", func() bool { return names() == "one 1.2.3, two 1.2.3" })
	rename(twin, "two", "1.2.3")
	wait.Until(t, "the old row went with its last instance", func() bool { return names() == "two 1.2.3, two 1.2.3" })
	rename(twin, "two", "7.0")
	wait.Until(t, "a version is a row too", func() bool { return names() == "two 1.2.3, two 7.0" })

	require.Equal(t, 204, v.Beat().Status)
	wait.Until(t, "the renamed one is found dead where it is now", func() bool { return v.State() == "SUSPENDED" && !v.Discovered() })
	v.Beat()
	require.True(t, v.Discovered())
	s.Kill()
	s.Restart()
	require.Equal(t, 204, v.Beat().Status)
	require.Equal(t, "ACTIVE", twin.State())
	wait.Until(t, "the same after a restart", func() bool { return names() == "two 1.2.3, two 7.0" })
	rename(twin, "one", "1.2.3")
	wait.Until(t, "and back where it was", func() bool { return names() == "one 1.2.3, two 1.2.3" })
	require.NotNil(t, instance(twin))
	require.Equal(t, "two", s.Want(200, "GET", v.Location, "").Object(t)["serName"])
	s.Want(403, "DELETE", "/v4/default/registry/microservices/"+rowOf(s, "two")+"?force=true", "")
	s.Want(204, "DELETE", v.Location, "")
	s.Want(204, "DELETE", twin.Location, "")
	wait.Until(t, "nothing is left", func() bool { return names() == "" })
}

// rowOf is the serviceId of a microservice by its name.
func rowOf(s *mep.Server, name string) string {
	s.T().Helper()
	for _, row := range microservices(s) {
		if m := row.(map[string]any)["microService"].(map[string]any); m["serviceName"] == name {
			return m["serviceId"].(string)
		}
	}
	s.T().Fatalf("service-center has no microservice %s", name)
	return ""
}

func TestPUTChangesTheState(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 1)
	put := func(status int, state string) {
		t.Helper()
		s.Want(status, "PUT", v.Location, with(t, mep.Info("b", -1), map[string]any{"state": state}))
	}
	put(400, "SUSPENDED")
	put(400, "GONE")
	put(200, "INACTIVE")
	s.Want(409, "PATCH", v.Liveness, mep.Alive)
	require.EqualValues(t, 1, s.Want(200, "GET", v.Location, "").Object(t)["livenessInterval"], "it keeps its interval while INACTIVE")
	time.Sleep(3 * time.Second)
	require.Equal(t, "INACTIVE", v.State(), "who is INACTIVE needs no heartbeat")
	put(400, "SUSPENDED")
	put(200, "ACTIVE")
	require.True(t, v.Discovered())
	wait.Until(t, "SUSPENDED: the entry into ACTIVE counts as a heartbeat, and none came since", func() bool { return v.State() == "SUSPENDED" })
	put(200, "SUSPENDED")
	require.Equal(t, "SUSPENDED", v.State(), "an echo changes nothing")
	s.Want(200, "PUT", v.Location, with(t, mep.Info("b", -1), map[string]any{"state": "SUSPENDED", "serializer": "XML"}))
	require.Equal(t, "SUSPENDED", v.State())
	put(200, "INACTIVE")
	put(200, "ACTIVE")
	require.Equal(t, 204, v.Beat().Status)
	wantEvents(v, "REGISTER", "DEACTIVATE", "ACTIVATE", "CLAIM", "REWRITE", "DEACTIVATE", "ACTIVATE")
}

func TestIfMatchProtectsAnUpdate(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 60)
	etag := s.Want(200, "GET", v.Location, "").Header.Get("ETag")
	require.NotEmpty(t, etag)
	put := func(i int) string { return with(t, mep.Info(fmt.Sprint("b", i), -1), nil) }
	for _, bad := range []string{"INVALID_ETAG", `"other"`, "W/" + etag, strings.Trim(etag, `"`), `""`, `"`} {
		s.Want(412, "PUT", v.Location, put(0), "If-Match", bad)
		s.Want(412, "DELETE", v.Location, "", "If-Match", bad)
	}
	s.Want(400, "PUT", v.Location, "{}", "If-Match", "INVALID_ETAG")
	s.Want(404, "PUT", mep.ServicesOf("a")+"/"+strings.Repeat("0", 64), "{}", "If-Match", "INVALID_ETAG")
	s.Want(403, "PUT", mep.ServicesOf("other")+"/"+v.ID, "{}", "If-Match", "INVALID_ETAG")
	require.Equal(t, 204, v.Beat().Status)
	// of many at once that saw the same, one wins
	var wg sync.WaitGroup
	status := make([]int, 20)
	for i := range status {
		wg.Go(func() {
			if r, err := s.Try("PUT", v.Location, put(i), "If-Match", etag); err == nil {
				status[i] = r.Status
			}
		})
	}
	wg.Wait()
	won := map[int]int{}
	for _, st := range status {
		won[st]++
	}
	require.Equal(t, map[int]int{200: 1, 412: len(status) - 1}, won)
	wantEvents(v, "REGISTER", "REWRITE")
	etag = s.Want(200, "GET", v.Location, "").Header.Get("ETag")
	s.Want(200, "PUT", v.Location, put(99), "If-Match", `"x", `+etag)
	s.Want(200, "PUT", v.Location, put(100), "If-Match", "*")
	etag = s.Want(200, "GET", v.Location, "").Header.Get("ETag")
	s.Want(204, "DELETE", v.Location, "", "If-Match", etag)
}

// Without If-Match the last one wins, and nobody is refused.
func TestUpdatesWithoutAConditionAllSucceed(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 60)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[int]int{}
	for i := range 8 {
		wg.Go(func() {
			r, err := s.Try("PUT", v.Location, with(t, mep.Info("b", -1), map[string]any{"version": fmt.Sprint(i), "transportInfo": nil}))
			if err == nil {
				mu.Lock()
				won[r.Status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{200: 8}, won, "who loses to another writer is not told that the store is down")
	wantEvents(v, append([]string{"REGISTER"}, slices.Repeat([]string{"REWRITE"}, won[200])...)...)
}

func TestPUTRenegotiatesTheInterval(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_MAX_INTERVAL=20s", "MEP_LIVENESS_DEFAULT_INTERVAL=7s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	v := s.Register("a", "b", 1)
	put := func(interval, told int) {
		t.Helper()
		m := s.Want(200, "PUT", v.Location, mep.Info("b", interval)).Object(t)
		require.EqualValues(t, told, m["livenessInterval"])
		require.Contains(t, m["_links"], "liveness")
	}
	put(-1, 1)
	put(1, 1)
	wantEvents(v, "REGISTER") // neither asks for anything new
	put(3, 3)
	wantEvents(v, "REGISTER", "RAISE")
	r := v.Beat()
	require.Equal(t, 200, r.Status, "told until the heartbeats show the new pace")
	require.EqualValues(t, 3, r.Object(t)["interval"])
	time.Sleep(3500 * time.Millisecond)
	require.Equal(t, "ACTIVE", v.State(), "its new window is 6 s")
	require.Equal(t, 204, v.Beat().Status)
	put(0, 7)
	put(100, 20)
	put(2, 2)
	plain := s.Register("a", "none", -1)
	require.Empty(t, plain.Liveness)
	m := s.Want(200, "PUT", plain.Location, mep.Info("none", -1)).Object(t)
	require.NotContains(t, m, "livenessInterval")
	m = s.Want(200, "PUT", plain.Location, mep.Info("none", 0)).Object(t)
	require.EqualValues(t, 7, m["livenessInterval"])
	s.Want(204, "PATCH", plain.Location+"/liveness", mep.Alive)
	for _, bad := range []string{"-1", "1.5", `"5"`, "true"} {
		body := mep.Info("b", -1)
		s.Want(400, "PUT", v.Location, body[:len(body)-1]+`,"livenessInterval":`+bad+"}")
	}
}
