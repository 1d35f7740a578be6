package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// batch is the results of a request with these elements, each APP/SERVICE.
func batch(t *testing.T, o Options, d *fakeRegistry, elements ...string) []mp1.HeartbeatResult {
	t.Helper()
	m := http.NewServeMux()
	for _, r := range Routes(d, o) {
		m.Handle(r.Pattern, r.Handler)
	}
	var body mp1.Heartbeats
	for _, e := range elements {
		app, service, _ := strings.Cut(e, "/")
		body.Heartbeats = append(body.Heartbeats, mp1.HeartbeatOf{AppInstanceID: app, SerInstanceID: service})
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodPost, mp1.HeartbeatsPath, strings.NewReader(string(text))))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var out mp1.HeartbeatResults
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	require.Len(t, out.Results, len(elements))
	return out.Results
}

// Every refusal of an element has status and detail of the PATCH that it stands for.
func TestEachHeartbeatOfABatchHasTheAnswerOfItsPATCH(t *testing.T) {
	for _, err := range []error{nil, heartbeat.ErrNotFound, heartbeat.ErrNotOwner, heartbeat.ErrInactive, heartbeat.ErrNoLiveness, heartbeat.ErrUnavailable, heartbeat.ErrFull,
		&Drained{mp1.Cause{Kind: "drained"}}, fmt.Errorf("a secret")} {
		for _, changed := range []bool{false, true} {
			d := newFakeRegistry()
			d.err, d.changed = err, changed
			got := batch(t, Options{}, d, "app/id1", "stranger/id1", "app/a b", "a b/id1", "/", "app/id1")
			for i, path := range []string{"app/services/id1", "stranger/services/id1", "app/services/a%20b", "a%20b/services/id1", "a%20b/services/id1", "app/services/id1"} {
				w := request(d, "PATCH", mp1.Base+"/applications/"+path+"/liveness", strings.NewReader(`{"state":"ACTIVE"}`))
				require.Equal(t, w.Code, got[i].Status, path)
				var said struct {
					Type, Detail string
					Interval     int
				}
				if w.Body.Len() > 0 {
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
				}
				require.Equal(t, said.Detail, got[i].Detail, path)
				require.Equal(t, strings.TrimPrefix(said.Type, "about:blank"), got[i].Type, path)
				require.Equal(t, said.Interval, got[i].Interval, path)
			}
			require.Equal(t, []mp1.HeartbeatOf{{AppInstanceID: "app", SerInstanceID: "id1"}, {AppInstanceID: "app", SerInstanceID: "id1"}}, d.beaten, "the others reach nobody")
		}
	}
}

// An identity may beat for some of the applications, and whoever watches is told of the rest.
func TestABatchIsAskedForEachApplicationWhetherTheCallerMayActForIt(t *testing.T) {
	d, counts := newFakeRegistry(), map[int]int{}
	o := Options{MayActFor: func(_ context.Context, app string) bool { return app != "other" }, Batched: func(_ http.ResponseWriter, status, n int) { counts[status] += n }}
	got := batch(t, o, d, "app/s1", "other/s2", "app/s3", "other/a b", "mine/s4")
	for i, status := range []int{204, 403, 204, 403, 204} {
		require.Equal(t, status, got[i].Status, i)
	}
	require.Contains(t, got[1].Detail, "may not act for")
	require.Equal(t, []mp1.HeartbeatOf{{AppInstanceID: "app", SerInstanceID: "s1"}, {AppInstanceID: "app", SerInstanceID: "s3"}, {AppInstanceID: "mine", SerInstanceID: "s4"}}, d.beaten)
	require.Equal(t, map[int]int{204: 3, 403: 2}, counts)
}

func TestABatchAsAWholeIsRefusedLikeOtherBodies(t *testing.T) {
	one := `{"heartbeats":[{"appInstanceId":"app","serInstanceId":"id1"}]}`
	d := newFakeRegistry()
	for _, c := range []struct {
		status             int
		method, query      string
		body, header, said string
	}{
		{200, "POST", "", one, "", ""},
		{400, "POST", "", `{"heartbeats":[]}`, "", "heartbeats"},
		{400, "POST", "?x=1", one, "", "x"},
		{413, "POST", "", one + strings.Repeat(" ", maxHeartbeats), "", "larger"},
		{415, "POST", "", one, "text/plain", "JSON"},
		{405, "GET", "", "", "", "method"},
		{405, "PATCH", "", one, "", "method"},
	} {
		w := request(d, c.method, "/mep"+mp1.HeartbeatsPath+c.query, strings.NewReader(c.body), "Content-Type", c.header)
		require.Equal(t, c.status, w.Code, c)
		require.Contains(t, w.Body.String(), c.said)
	}
	require.Len(t, d.beaten, 1)
	full := strings.Repeat(`{"appInstanceId":"`+strings.Repeat("a", 128)+`","serInstanceId":"`+strings.Repeat("s", 128)+`"},`, mp1.MaxHeartbeats)
	w := request(d, "POST", mp1.HeartbeatsPath, strings.NewReader(`{"heartbeats":[`+strings.TrimSuffix(full, ",")+`]}`))
	require.Equal(t, 200, w.Code, "a thousand of the longest ids")
}

// silentRegistry answers every heartbeat, and keeps nothing.
type silentRegistry struct{ *fakeRegistry }

func (silentRegistry) Beats(_ context.Context, _ string, beats []mp1.HeartbeatOf, answer func(i, interval int, err error)) {
	for i := range beats {
		answer(i, 0, nil)
	}
}

// Garbage of batches is collected at the cost of heartbeats. What each leaves is its text, in which its
// ids stand, and its answer.
func TestABatchLeavesItsTextAndItsAnswerAsGarbage(t *testing.T) {
	m := http.NewServeMux()
	for _, r := range Routes(silentRegistry{newFakeRegistry()}, Options{}) {
		m.Handle(r.Pattern, r.Handler)
	}
	post := func(n int) (objects, bytes int) {
		var beats mp1.Heartbeats
		for i := range n {
			beats.Heartbeats = append(beats.Heartbeats, mp1.HeartbeatOf{AppInstanceID: "app", SerInstanceID: fmt.Sprintf("%036d", i)})
		}
		body, err := json.Marshal(beats)
		require.NoError(t, err)
		w := &countingWriter{discardWriter: discardWriter{h: http.Header{}}}
		objects, bytes = leastGarbage(func() {
			w.n = 0
			m.ServeHTTP(w, httptest.NewRequest(http.MethodPost, mp1.HeartbeatsPath, strings.NewReader(string(body))))
		})
		require.Equal(t, http.StatusOK, w.status)
		require.Greater(t, w.n, 60*n, "it was answered")
		return objects, bytes - len(body)*2 - w.n // a copy is the test's own
	}
	objects, bytes := post(1)
	for _, n := range []int{500, mp1.MaxHeartbeats} {
		more, moreBytes := post(n)
		require.LessOrEqual(t, more, objects+2, "objects of %d heartbeats", n)
		require.LessOrEqual(t, moreBytes, bytes+16<<10, "bytes of %d heartbeats, besides text and answer", n) // sizes are rounded up
	}
}

// What a batch is read into is used again: the ids of one that was refused stayed there, and its text with them.
func TestARefusedBatchLeavesNothingOfItsText(t *testing.T) {
	m := &batchMemory{beats: make([]mp1.HeartbeatOf, 2, 64)}
	body := `{"heartbeats":[` + strings.Repeat(`{"appInstanceId":"app","serInstanceId":"s"},`, 50) + `{"appInstanceId":7}]}`
	err := new(api).beatAllIn(m, httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, mp1.HeartbeatsPath, strings.NewReader(body)))
	require.Error(t, err)
	left := m.beats[:cap(m.beats)]
	require.NotZero(t, left[40], "it was read into that memory")
	m.release()
	for i := range left {
		require.Zero(t, left[i], i)
	}
}

// countingWriter counts what is answered.
type countingWriter struct {
	discardWriter
	n int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += len(p)
	return len(p), nil
}

// leastGarbage is what f allocates at the least, of some calls: what is kept to be used again may be gone
// before one of them.
func leastGarbage(f func()) (objects, bytes int) {
	objects, bytes = math.MaxInt, math.MaxInt
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		objects, bytes = min(objects, int(after.Mallocs-before.Mallocs)), min(bytes, int(after.TotalAlloc-before.TotalAlloc)) //nolint:gosec // small
	}
	return objects, bytes
}
