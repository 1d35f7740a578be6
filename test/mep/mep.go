// Package mep builds mepserver and runs replicas of it for the tests that need
// several, or need them beside an etcd. It knows the binary, its flags and the wire;
// it must not know anything of the program's inside.
package mep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// Base is where Mp1 begins.
const Base = "/mec_service_mgmt/v1"

// Fast is the quickest detection that the configuration allows.
var Fast = []string{"MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1"}

// Main is for TestMain: it builds mepserver, hands it to use, runs the tests and
// returns the exit code.
func Main(m *testing.M, use func(dir, binary string)) int {
	dir, err := os.MkdirTemp("", "mepserver-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		var binary string
		if binary, err = built.Command(dir, "mepserver"); err == nil {
			use(dir, binary)
			return m.Run()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// Replica is one running mepserver.
type Replica struct {
	*proc.Process
	URL       string
	http      *http.Client
	binary    string
	endpoints []string
	env       []string
}

var urlInLine = regexp.MustCompile(`http://\S+:\d+`)

// Start runs a replica over an etcd cluster, on a free loopback port, and waits
// until it is ready.
func Start(t testing.TB, binary string, endpoints []string, env ...string) *Replica {
	t.Helper()
	return StartAt(t, binary, proc.Free(t), endpoints, env...)
}

// StartAt is Start at a given address.
func StartAt(t testing.TB, binary, listen string, endpoints []string, env ...string) *Replica {
	t.Helper()
	built.Depend()
	p := proc.Start(t, binary, env, "--listen", listen, "--etcd-endpoints", strings.Join(endpoints, ","))
	line := p.FirstLine(2 * time.Minute)
	r := &Replica{Process: p, binary: binary, endpoints: endpoints, env: env, URL: urlInLine.FindString(line),
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	t.Cleanup(r.http.CloseIdleConnections)
	if r.URL == "" {
		t.Fatalf("mepserver was not ready; it printed %q and\n%s", line, p.Errors)
	}
	return r
}

// Restart starts a replica that has ended anew, at the address that it had; what was
// to fail in it fails once.
func Restart(t testing.TB, r *Replica) *Replica {
	t.Helper()
	env := slices.DeleteFunc(slices.Clone(r.env), func(s string) bool { return strings.HasPrefix(s, "MEP_FAILPOINTS=") })
	return StartAt(t, r.binary, strings.TrimPrefix(r.URL, "http://"), r.endpoints, env...)
}

// Answer is a response with its body read.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Try sends one request.
func (r *Replica) Try(method, path, body string) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, b}, err
}

// Info is a ServiceInfo to register.
func Info(name string, interval int) string {
	return fmt.Sprintf(`{"serName":%q,"version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":%d,"transportInfo":{"id":"t","name":"n",
		"type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"uris":["http://10.0.0.1"]},"security":{}}}`, name, interval)
}

// Register registers a service and returns its id.
func (r *Replica) Register(app, name string, interval int) (id string, err error) {
	a, err := r.Try(http.MethodPost, Base+"/applications/"+app+"/services", Info(name, interval))
	if err != nil {
		return "", err
	}
	var m struct{ SerInstanceID string }
	if err := json.Unmarshal(a.Body, &m); err != nil || a.Status != http.StatusCreated {
		return "", fmt.Errorf("registration answered %d: %.300s", a.Status, a.Body)
	}
	return m.SerInstanceID, nil
}

// Beat sends one heartbeat and returns the status; 0: no answer.
func (r *Replica) Beat(app, id string) int {
	a, err := r.Try(http.MethodPatch, Base+"/applications/"+app+"/services/"+id+"/liveness", `{"state":"ACTIVE"}`)
	if err != nil {
		return 0
	}
	return a.Status
}

// State is the service's state; the status, if that is not 200.
func (r *Replica) State(id string) string {
	a, err := r.Try(http.MethodGet, Base+"/services/"+id, "")
	switch {
	case err != nil:
		return "no answer"
	case a.Status != http.StatusOK:
		return strconv.Itoa(a.Status)
	}
	var m struct{ State string }
	_ = json.Unmarshal(a.Body, &m)
	return m.State
}

// Discover returns the ids that discovery shows.
func (r *Replica) Discover() (map[string]bool, error) {
	a, err := r.Try(http.MethodGet, Base+"/services", "")
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("discovery answered %d", a.Status)
	}
	var list []struct{ SerInstanceID string }
	if err := json.Unmarshal(a.Body, &list); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[s.SerInstanceID] = true
	}
	return out, nil
}

// Metric reads one sample; 0: there is none.
func (r *Replica) Metric(name string) int {
	a, err := r.Try(http.MethodGet, "/metrics", "")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(a.Body) {
		if rest, ok := strings.CutPrefix(string(line), name+" "); ok {
			f, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return int(f)
		}
	}
	return 0
}
