// Package centertest asks service-center over HTTP, for the adapter's tests. It must not
// know the adapter, whose packages it tests.
package centertest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Web is the URL that service-center is served at.
type Web string

// Send sends a request with a body and returns how it was answered.
func (w Web) Send(t testing.TB, method, path, body string) (status int, header http.Header, answer string) {
	t.Helper()
	return w.Do(t, w.Request(t, method, path, body))
}

// Get asks for a path.
func (w Web) Get(t testing.TB, path string) (status int, answer string) {
	t.Helper()
	status, _, answer = w.Send(t, http.MethodGet, path, "")
	return status, answer
}

// Request is a request with headers, name and value in turn.
func (w Web) Request(t testing.TB, method, path, body string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, string(w)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// Do sends a request and returns how it was answered.
func (w Web) Do(t testing.TB, r *http.Request) (status int, header http.Header, answer string) {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// DrivesControllers is for tests that send service-center's own routes many requests:
// its controllers race with what they start (pkg/task's executor, the publisher of its
// websockets), which is not ours to mend, and a test of ours fails by it.
func DrivesControllers(t testing.TB) {
	t.Helper()
	if raceEnabled {
		t.Skip("not under -race: service-center's controllers race with its own task executor and websocket publisher")
	}
}

// BlackRule and Instance are parts of bodies: a rule that hides a service from everybody,
// and an instance.
const (
	BlackRule = `{"ruleType":"BLACK","attribute":"ServiceName","pattern":".*"}`
	Instance  = `"hostName":"h","endpoints":["rest://127.0.0.1:1"]`
)
