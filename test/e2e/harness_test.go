// Package e2e drives the built mepserver over HTTP, as its users do. It knows the
// binary, its flags, its environment and the wire; it must not know anything of the
// program's inside.
package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mepserver-e2e-")
	if err == nil {
		binary, err = built.Command(dir, "mepserver")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// They wait far more than they compute, so more run together than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// fast is the quickest detection that the configuration allows.
var fast = []string{"MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1"}

// server is one running mepserver.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	dir  string
	env  []string
	bin  string // "": binary
	log  *logFile
	line string
	http *http.Client
}

// logFile is what a server wrote to its standard error. Its log is a queue: what an
// answer brought about is there a moment later.
type logFile struct{ path string }

// String is the log once it has not grown for a while.
func (l *logFile) String() string {
	for before := -1; ; time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(l.path)
		if err != nil {
			return err.Error()
		}
		if before == len(b) {
			return string(b)
		}
		before = len(b)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a server on a free loopback port until the test ends.
func start(t *testing.T, env ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), env...)
}

func startIn(t *testing.T, dir string, env ...string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, env: env, http: newClient()}
	s.launch()
	t.Cleanup(func() { s.kill() })
	return s
}

func newClient() *http.Client {
	return &http.Client{Timeout: 20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var urlInLine = regexp.MustCompile(`http://\S+:\d+`)

func (s *server) launch() {
	s.t.Helper()
	built.Depend()
	s.cmd = exec.Command(cmp.Or(s.bin, binary), "--listen", "127.0.0.1:0", "--data-dir", s.dir)
	s.cmd.Env = append(os.Environ(), s.env...)
	errs, err := os.CreateTemp(s.t.TempDir(), "log")
	require.NoError(s.t, err)
	defer func() { _ = errs.Close() }()
	s.log = &logFile{errs.Name()}
	s.cmd.Stderr = errs
	out, err := s.cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.cmd.Start())
	lines := make(chan string, 1)
	go func() {
		r := bufio.NewScanner(out)
		if r.Scan() {
			lines <- r.Text()
		} else {
			close(lines)
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case line, ok := <-lines:
		require.True(s.t, ok, "mepserver said nothing; its log:\n%s", s.log)
		s.line, s.url = line, urlInLine.FindString(line)
		require.NotEmpty(s.t, s.url, "no URL in %q", line)
	case <-time.After(60 * time.Second):
		s.kill()
		s.t.Fatalf("mepserver was not ready in 60 s; its log:\n%s", s.log)
	}
}

// kill ends the process as kill -9 does.
func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// response is an answer with its body read.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (r response) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(r.body, &m), "%s", r.body)
	return m
}

func (r response) list(t *testing.T) []map[string]any {
	t.Helper()
	var m []map[string]any
	require.NoError(t, json.Unmarshal(r.body, &m), "%s", r.body)
	return m
}

// try sends one request; header are pairs.
func (s *server) try(method, path, body string, header ...string) (response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	url := path
	if strings.HasPrefix(path, "/") {
		url = s.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, b}, err
}

func (s *server) do(method, path, body string, header ...string) response {
	s.t.Helper()
	r, err := s.try(method, path, body, header...)
	require.NoError(s.t, err)
	return r
}

// want is do with the status that the test expects.
func (s *server) want(status int, method, path, body string, header ...string) response {
	s.t.Helper()
	r := s.do(method, path, body, header...)
	require.Equal(s.t, status, r.status, "%s %s: %s", method, path, r.body)
	return r
}

const (
	base  = "/mec_service_mgmt/v1"
	alive = `{"state":"ACTIVE"}`
)

// info is a ServiceInfo to register; interval < 0 leaves livenessInterval out.
func info(name string, interval int) string {
	more := ""
	if interval >= 0 {
		more = fmt.Sprintf(`,"livenessInterval":%d`, interval)
	}
	return fmt.Sprintf(`{"serName":%q,"version":"1.2.3","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t1","name":"REST",
		"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x"]},"security":{}}%s}`, name, more)
}

// service is one registered instance.
type service struct {
	s        *server
	app, id  string
	location string
	liveness string
	last     time.Time // when its last acknowledged heartbeat was sent
}

func (s *server) register(app, name string, interval int) *service {
	s.t.Helper()
	r := s.want(201, "POST", base+"/applications/"+app+"/services", info(name, interval))
	m := r.json(s.t)
	svc := &service{s: s, app: app, id: m["serInstanceId"].(string), location: r.header.Get("Location"), last: time.Now()}
	if l, ok := m["_links"].(map[string]any)["liveness"].(map[string]any); ok {
		svc.liveness = l["href"].(string)
	}
	return svc
}

// beat sends one heartbeat and wants it acknowledged.
func (v *service) beat() response {
	v.s.t.Helper()
	at := time.Now()
	r := v.s.do("PATCH", v.liveness, alive)
	require.Contains(v.s.t, []int{200, 204}, r.status, "%s", r.body)
	v.last = at
	return r
}

func (v *service) state() string {
	v.s.t.Helper()
	return v.s.want(200, "GET", base+"/services/"+v.id, "").json(v.s.t)["state"].(string)
}

// discovered says whether GET /services shows the instance.
func (v *service) discovered() bool {
	v.s.t.Helper()
	return len(v.s.want(200, "GET", base+"/services?ser_instance_id="+v.id, "").list(v.s.t)) == 1
}

// instance is the service as service-center's own API shows it; nil: it does not.
func (v *service) instance() map[string]any {
	v.s.t.Helper()
	r := v.s.do("GET", "/v4/default/registry/microservices/"+v.id[:32]+"/instances/"+v.id[32:], "", "X-ConsumerId", v.id[:32])
	if r.status != 200 {
		return nil
	}
	m, _ := r.json(v.s.t)["instance"].(map[string]any)
	return m
}

// eventually waits for something that the program promises without a time; the
// bound only ends a broken test.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
