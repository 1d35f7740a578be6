package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// fakeLimits refuses everything or nothing, and records what it was asked.
type fakeLimits struct {
	wait  time.Duration // for a write
	after int64         // bytes read after which the rest is refused
	apps  []string
	bytes []int64
	read  int64

	listWait time.Duration // for a list
	asked    int           // for lists
}

func (l *fakeLimits) Write(_ context.Context, app, _ string, n int64) time.Duration {
	l.apps, l.bytes = append(l.apps, app), append(l.bytes, n)
	return l.wait
}

func (l *fakeLimits) Bytes(_ context.Context, _, _ string, n int64) time.Duration {
	if l.read += n; l.after > 0 && l.read > l.after {
		return 2500 * time.Millisecond
	}
	return 0
}

func (l *fakeLimits) List(context.Context, string) time.Duration {
	l.asked++
	return l.listWait
}

func (l *fakeLimits) Listed(context.Context, string, int64) {}

// unsizedBody is a body whose length is not known before. left is what was not read.
type unsizedBody struct{ left int }

func (u *unsizedBody) Read(p []byte) (int, error) {
	n := min(len(p), u.left, 512)
	if u.left -= n; n == 0 {
		return 0, io.EOF
	}
	copy(p, strings.Repeat(" ", n))
	return n, nil
}

// Every route that adds or changes is counted; heartbeats, deletions and reads are not,
// however much was used up.
func TestWritesAreLimitedAndNothingElseIs(t *testing.T) {
	l := &fakeLimits{wait: 1001 * time.Millisecond}
	d := newFakeRegistry()
	m := http.NewServeMux()
	writes := map[string]bool{}
	all := Routes(d, Options{Limits: l, Subscriptions: &fakeSubscriptions{}, TerminationSubscriptions: &fakeSubscriptions{}, Registrations: &fakeRegistrations{apps: map[string]mp1.AppInfo{}}})
	for _, r := range all {
		m.Handle(r.Pattern, r.Handler)
	}
	for _, r := range all {
		verb, path, ok := strings.Cut(r.Pattern, " ")
		if !ok {
			continue
		}
		path = strings.NewReplacer("{appInstanceId}", "app", "{serviceId}", "id1", "{subscriptionId}", "sub").Replace(path)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(verb, path, strings.NewReader(`{"state":"ACTIVE"}`)))
		beat := strings.HasSuffix(path, "/liveness") || strings.HasSuffix(path, mp1.HeartbeatsPath)
		if (verb == "POST" || verb == "PUT" || verb == "PATCH") && !beat {
			require.Equal(t, 429, w.Code, "%s %s", verb, path)
			require.Equal(t, "2", w.Header().Get("Retry-After"))
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			writes[verb+" "+strings.TrimPrefix(path, mepPrefix)] = true
		} else {
			require.NotEqual(t, 429, w.Code, "%s %s", verb, path)
		}
	}
	require.Len(t, writes, 8, "%v", writes)
	require.NotContains(t, l.apps, "stranger")
}

func TestABodyCountsByItsLengthOrWhileItIsRead(t *testing.T) {
	post := func(l *fakeLimits, body io.Reader) *httptest.ResponseRecorder {
		m := http.NewServeMux()
		for _, r := range Routes(newFakeRegistry(), Options{Limits: l, MaxBody: 4096}) {
			m.Handle(r.Pattern, r.Handler)
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("POST", mp1.Base+"/applications/app/services", body))
		return w
	}
	l := &fakeLimits{}
	require.Equal(t, 400, post(l, strings.NewReader(strings.Repeat(" ", 4096))).Code)
	require.Equal(t, []int64{4096}, l.bytes)
	require.Equal(t, []string{"app"}, l.apps)
	require.Equal(t, 413, post(l, strings.NewReader(strings.Repeat(" ", 4097))).Code)
	require.Len(t, l.bytes, 1, "what is too large is not read, and costs nothing")

	require.Equal(t, 400, post(l, &unsizedBody{4000}).Code)
	require.EqualValues(t, 4000, l.read)
	u := &unsizedBody{4000}
	l = &fakeLimits{after: 1500}
	w := post(l, u)
	require.Equal(t, 429, w.Code)
	require.Equal(t, "3", w.Header().Get("Retry-After"))
	require.Less(t, l.read, int64(2500))
	require.Positive(t, u.left, "it was not read to its end")
}

// Room that somebody makes in a full store can be used after five seconds at the earliest, so
// a client that adds to it must not come back after one. A heartbeat or a deletion, which only
// a full cluster refuses, comes back soon, or its deadline passes.
func TestAFullStoreSaysWhenItMayHaveRoom(t *testing.T) {
	d := newFakeRegistry()
	d.err = heartbeat.ErrNoAdditions
	for _, c := range []struct{ method, path, body, after string }{
		{"PATCH", servicePath + "/liveness", `{"state":"ACTIVE"}`, "3"},
		{"DELETE", servicePath, "", "3"},
		{"POST", mp1.Base + "/applications/app/services", registration, "12"},
		{"PUT", servicePath, registration, "12"},
	} {
		w := request(d, c.method, c.path, strings.NewReader(c.body))
		require.Equal(t, http.StatusInsufficientStorage, w.Code, "%s %s: %s", c.method, c.path, w.Body)
		require.Equal(t, c.after, w.Header().Get("Retry-After"), "%s %s", c.method, c.path)
	}
}

// Lists are counted apart from writes; nothing else that is read is counted.
func TestListsAreLimitedAndNothingElseThatIsRead(t *testing.T) {
	l := &fakeLimits{listWait: 1500 * time.Millisecond}
	m := http.NewServeMux()
	all := Routes(newFakeRegistry(), Options{Limits: l, Subscriptions: &fakeSubscriptions{}, TerminationSubscriptions: &fakeSubscriptions{}, Registrations: &fakeRegistrations{apps: map[string]mp1.AppInfo{}}})
	for _, r := range all {
		m.Handle(r.Pattern, r.Handler)
	}
	var refused []string
	for _, r := range all {
		verb, path, _ := strings.Cut(r.Pattern, " ")
		if verb != http.MethodGet || strings.HasPrefix(path, mepPrefix) {
			continue
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(verb, strings.NewReplacer("{appInstanceId}", "app", "{serviceId}", "id1", "{subscriptionId}", "sub").Replace(path), nil))
		if w.Code == http.StatusTooManyRequests {
			require.Equal(t, "2", w.Header().Get("Retry-After"))
			require.Contains(t, w.Body.String(), "Too many lists")
			refused = append(refused, r.Name)
		}
	}
	require.ElementsMatch(t, []string{"mp1.GetServices", "mp1.GetApplicationServices", "mp1.GetSubscriptions", "mp1.GetTerminationSubscriptions"}, refused)
	require.Equal(t, 4, l.asked)
}
