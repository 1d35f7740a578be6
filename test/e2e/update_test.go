package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// events are what was told of the instance so far, as transactions in their order.
// The log has one line for each, with the number of the event.
func (v *service) events() (out []string) {
	v.s.t.Helper()
	told := map[int]string{} // two that are carried out together may be logged in either order
	for line := range strings.Lines(v.s.log.String()) {
		var e struct {
			ID          string `json:"serInstanceId"`
			Transaction string
			Seq         int
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.ID == v.id && told[e.Seq] == "" {
			told[e.Seq] = e.Transaction // a later line of the same number changed no event
		}
	}
	for seq := range len(told) {
		require.Contains(v.s.t, told, seq+1, "events are counted by one")
		out = append(out, told[seq+1])
	}
	return out
}

func TestPUTReplacesWhatWasRegistered(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	body := with(t, info("old name", 60), map[string]any{"scopeOfLocality": "ZONE", "serCategory": map[string]string{"href": "/c", "id": "c1", "name": "n", "version": "1"}})
	r := s.want(201, "POST", base+"/applications/a/services", body)
	v := &service{s: s, app: "a", id: r.json(t)["serInstanceId"].(string), location: r.header.Get("Location")}
	before := s.want(200, "GET", v.location, "")
	require.Equal(t, r.header.Get("ETag"), before.header.Get("ETag"))

	put := with(t, info("new name", -1), map[string]any{"version": "2.0", "transportInfo": nil, "serInstanceId": "mine", "consumedLocalOnly": false})
	r = s.want(200, "PUT", v.location, put)
	m := r.json(t)
	require.Equal(t, "new name", m["serName"])
	require.Equal(t, "2.0", m["version"])
	require.Equal(t, false, m["consumedLocalOnly"])
	require.Equal(t, v.id, m["serInstanceId"], "the client's own is ignored")
	require.NotContains(t, m, "serCategory", "what a full representation leaves out is gone")
	require.Equal(t, "MEC_HOST", m["scopeOfLocality"])
	require.Equal(t, before.json(t)["transportInfo"], m["transportInfo"], "the transport is kept when none is sent")
	require.EqualValues(t, 60, m["livenessInterval"], "so is the interval")
	require.NotEqual(t, before.header.Get("ETag"), r.header.Get("ETag"))
	after := s.want(200, "GET", v.location, "")
	require.Equal(t, r.body, after.body, "what was acknowledged, the next answer shows")
	require.Equal(t, r.header.Get("ETag"), after.header.Get("ETag"))
	for query, n := range map[string]int{"ser_name=old%20name": 0, "ser_name=new%20name": 1, "ser_category_id=c1": 0, "scope_of_locality=ZONE": 0} {
		require.Len(t, s.want(200, "GET", base+"/services?"+query, "").list(t), n, query)
	}
	require.Equal(t, []string{"REGISTER", "REWRITE"}, v.events(), "one event for one change")

	s.want(200, "PUT", v.location, string(after.body))
	s.want(200, "PUT", v.location, put)
	require.Equal(t, after.header.Get("ETag"), s.want(200, "GET", v.location, "").header.Get("ETag"))
	require.Equal(t, []string{"REGISTER", "REWRITE"}, v.events(), "nothing changed, nobody is told")
}

// The rows of service-center follow the names: the old one goes with its last
// instance, and an instance that keeps the name keeps the row.
func TestARenamedServiceHasItsNewNameInServiceCenter(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v, twin := s.register("a", "one", 1), s.register("a", "one", 60)
	require.Equal(t, v.id[:32], twin.id[:32], "two instances of one microservice")
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
		return strings.Join(sorted(out), ", ")
	}
	eventually(t, "one row with two", func() bool { return names() == "one 1.2.3, one 1.2.3" })
	rename := func(v *service, name, version string) {
		s.want(200, "PUT", v.location, with(t, info(name, -1), map[string]any{"version": version}))
	}
	rename(v, "two", "1.2.3")
	eventually(t, "each has its own row", func() bool { return names() == "one 1.2.3, two 1.2.3" })
	rename(twin, "two", "1.2.3")
	eventually(t, "the old row went with its last instance", func() bool { return names() == "two 1.2.3, two 1.2.3" })
	rename(twin, "two", "7.0")
	eventually(t, "a version is a row too", func() bool { return names() == "two 1.2.3, two 7.0" })

	require.Equal(t, 204, v.beat().status)
	eventually(t, "the renamed one is found dead where it is now", func() bool { return v.state() == "SUSPENDED" && !v.discovered() })
	v.beat()
	require.True(t, v.discovered())
	s.kill()
	s.launch()
	require.Equal(t, 204, v.beat().status)
	require.Equal(t, "ACTIVE", twin.state())
	eventually(t, "the same after a restart", func() bool { return names() == "two 1.2.3, two 7.0" })
	rename(twin, "one", "1.2.3")
	eventually(t, "and back where it was", func() bool { return names() == "one 1.2.3, two 1.2.3" })
	require.NotNil(t, twin.instance())
	require.Equal(t, "two", s.want(200, "GET", v.location, "").json(t)["serName"])
	s.want(403, "DELETE", "/v4/default/registry/microservices/"+rowOf(s, "two")+"?force=true", "")
	s.want(204, "DELETE", v.location, "")
	s.want(204, "DELETE", twin.location, "")
	eventually(t, "nothing is left", func() bool { return names() == "" })
}

// rowOf is the serviceId of a microservice by its name.
func rowOf(s *server, name string) string {
	s.t.Helper()
	for _, row := range microservices(s) {
		if m := row.(map[string]any)["microService"].(map[string]any); m["serviceName"] == name {
			return m["serviceId"].(string)
		}
	}
	s.t.Fatalf("service-center has no microservice %s", name)
	return ""
}

func TestPUTChangesTheState(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "b", 1)
	put := func(status int, state string) {
		t.Helper()
		s.want(status, "PUT", v.location, with(t, info("b", -1), map[string]any{"state": state}))
	}
	put(400, "SUSPENDED")
	put(400, "GONE")
	put(200, "INACTIVE")
	require.Equal(t, 409, s.do("PATCH", v.liveness, alive).status)
	require.EqualValues(t, 1, s.want(200, "GET", v.location, "").json(t)["livenessInterval"], "it keeps its interval while INACTIVE")
	time.Sleep(3 * time.Second)
	require.Equal(t, "INACTIVE", v.state(), "who is INACTIVE needs no heartbeat")
	put(400, "SUSPENDED")
	put(200, "ACTIVE")
	require.True(t, v.discovered())
	eventually(t, "SUSPENDED: the entry into ACTIVE counts as a heartbeat, and none came since", func() bool { return v.state() == "SUSPENDED" })
	put(200, "SUSPENDED")
	require.Equal(t, "SUSPENDED", v.state(), "an echo changes nothing")
	s.want(200, "PUT", v.location, with(t, info("b", -1), map[string]any{"state": "SUSPENDED", "serializer": "XML"}))
	require.Equal(t, "SUSPENDED", v.state())
	put(200, "INACTIVE")
	put(200, "ACTIVE")
	require.Equal(t, 204, v.beat().status)
	require.Equal(t, []string{"REGISTER", "DEACTIVATE", "ACTIVATE", "CLAIM", "REWRITE", "DEACTIVATE", "ACTIVATE"}, v.events())
}

func TestIfMatchProtectsAnUpdate(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "b", 60)
	etag := s.want(200, "GET", v.location, "").header.Get("ETag")
	require.NotEmpty(t, etag)
	put := func(i int) string { return with(t, info(fmt.Sprint("b", i), -1), nil) }
	for _, bad := range []string{"INVALID_ETAG", `"other"`, "W/" + etag, strings.Trim(etag, `"`), `""`, `"`} {
		s.want(412, "PUT", v.location, put(0), "If-Match", bad)
		s.want(412, "DELETE", v.location, "", "If-Match", bad)
	}
	s.want(400, "PUT", v.location, "{}", "If-Match", "INVALID_ETAG")
	s.want(404, "PUT", base+"/applications/a/services/"+strings.Repeat("0", 64), "{}", "If-Match", "INVALID_ETAG")
	s.want(403, "PUT", base+"/applications/other/services/"+v.id, "{}", "If-Match", "INVALID_ETAG")
	require.Equal(t, 204, v.beat().status)
	// of many at once that saw the same, one wins
	var wg sync.WaitGroup
	status := make([]int, 20)
	for i := range status {
		wg.Go(func() {
			if r, err := s.try("PUT", v.location, put(i), "If-Match", etag); err == nil {
				status[i] = r.status
			}
		})
	}
	wg.Wait()
	won := map[int]int{}
	for _, st := range status {
		won[st]++
	}
	require.Equal(t, map[int]int{200: 1, 412: len(status) - 1}, won)
	require.Equal(t, []string{"REGISTER", "REWRITE"}, v.events())
	etag = s.want(200, "GET", v.location, "").header.Get("ETag")
	s.want(200, "PUT", v.location, put(99), "If-Match", `"x", `+etag)
	s.want(200, "PUT", v.location, put(100), "If-Match", "*")
	etag = s.want(200, "GET", v.location, "").header.Get("ETag")
	s.want(204, "DELETE", v.location, "", "If-Match", etag)
}

// Without If-Match the last one wins, and nobody is refused.
func TestUpdatesWithoutAConditionAllSucceed(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "b", 60)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[int]int{}
	for i := range 8 {
		wg.Go(func() {
			r, err := s.try("PUT", v.location, with(t, info("b", -1), map[string]any{"version": fmt.Sprint(i), "transportInfo": nil}))
			if err == nil {
				mu.Lock()
				won[r.status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{200: 8}, won, "who loses to another writer is not told that the store is down")
	require.Len(t, v.events(), 1+won[200])
}

func TestPUTRenegotiatesTheInterval(t *testing.T) {
	t.Parallel()
	s := start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_MAX_INTERVAL=20s", "MEP_LIVENESS_DEFAULT_INTERVAL=7s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	v := s.register("a", "b", 1)
	put := func(interval, told int) {
		t.Helper()
		m := s.want(200, "PUT", v.location, info("b", interval)).json(t)
		require.EqualValues(t, told, m["livenessInterval"])
		require.Contains(t, m["_links"], "liveness")
	}
	put(-1, 1)
	put(1, 1)
	require.Equal(t, []string{"REGISTER"}, v.events(), "neither asks for anything new")
	put(3, 3)
	require.Equal(t, []string{"REGISTER", "RAISE"}, v.events())
	r := v.beat()
	require.Equal(t, 200, r.status, "told until the heartbeats show the new pace")
	require.EqualValues(t, 3, r.json(t)["interval"])
	time.Sleep(3500 * time.Millisecond)
	require.Equal(t, "ACTIVE", v.state(), "its new window is 6 s")
	require.Equal(t, 204, v.beat().status)
	put(0, 7)
	put(100, 20)
	put(2, 2)
	plain := s.register("a", "none", -1)
	require.Empty(t, plain.liveness)
	m := s.want(200, "PUT", plain.location, info("none", -1)).json(t)
	require.NotContains(t, m, "livenessInterval")
	m = s.want(200, "PUT", plain.location, info("none", 0)).json(t)
	require.EqualValues(t, 7, m["livenessInterval"])
	s.want(204, "PATCH", plain.location+"/liveness", alive)
	for _, bad := range []string{"-1", "1.5", `"5"`, "true"} {
		body := info("b", -1)
		s.want(400, "PUT", v.location, body[:len(body)-1]+`,"livenessInterval":`+bad+"}")
	}
}
