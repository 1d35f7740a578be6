package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// agentBinary builds mep-agent once, beside the server.
var agentBinary = sync.OnceValues(func() (string, error) { return built.Command(filepath.Dir(binary), "mep-agent") })

// relay is the network between an agent and a server: it forwards connections, and
// can be cut and led elsewhere.
type relay struct {
	t      *testing.T
	addr   string
	mu     sync.Mutex
	target string
	l      net.Listener
	conns  map[net.Conn]bool
	opened atomic.Int64
}

func newRelay(t *testing.T, s *server) *relay {
	t.Helper()
	r := &relay{t: t, addr: proc.Free(t), conns: map[net.Conn]bool{}}
	r.lead(s)
	r.join()
	t.Cleanup(r.cut)
	return r
}

func (r *relay) url() string { return "http://" + r.addr }

// lead sends the connections to come to a server.
func (r *relay) lead(s *server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = strings.TrimPrefix(s.url, "http://")
}

// join lets connections through.
func (r *relay) join() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.addr)
	require.NoError(r.t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.addr = l, l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(c)
		}
	}()
}

func (r *relay) carry(c net.Conn) {
	r.opened.Add(1)
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	s, err := net.Dial("tcp", target)
	if err != nil {
		_ = c.Close()
		return
	}
	r.mu.Lock()
	r.conns[c], r.conns[s] = true, true
	r.mu.Unlock()
	go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
	_, _ = io.Copy(c, s)
	_ = c.Close()
	r.mu.Lock()
	delete(r.conns, c)
	delete(r.conns, s)
	r.mu.Unlock()
}

// cut refuses connections and ends those that are open.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.l != nil {
		_ = r.l.Close()
		r.l = nil
	}
	for c := range r.conns {
		_ = c.Close()
	}
}

// agent is one running mep-agent.
type agent struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    *syncBuffer
	config string
	env    []string
	dir    string
	status string // URL
}

// services writes a configuration with n services that leave the interval to the
// platform.
func services(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("application: {id: agent-app}\nlocal: {listen: '127.0.0.1:0'}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, `- {serName: s%d, version: "1", state: ACTIVE, serializer: JSON, livenessInterval: 0, transportInfo: {id: t, name: REST,
    type: REST_HTTP, protocol: HTTP, version: "2.0", endpoint: {uris: ["http://10.0.0.5/%d"]}, security: {}}}`+"\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "agent.yaml")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	return file
}

func startAgent(t *testing.T, config string, env ...string) *agent {
	t.Helper()
	a := &agent{t: t, config: config, env: env, dir: t.TempDir(), log: &syncBuffer{}}
	a.launch()
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("the agent's log:\n%s", a.log)
		}
	})
	return a
}

func (a *agent) launch() {
	a.t.Helper()
	built.Depend()
	path, err := agentBinary()
	require.NoError(a.t, err)
	args := []string{"--config", a.config}
	if a.config == "" {
		args = nil
	}
	a.cmd = exec.Command(path, args...)
	a.cmd.Dir, a.cmd.Env, a.cmd.Stderr = a.dir, append(os.Environ(), a.env...), a.log
	out, err := a.cmd.StdoutPipe()
	require.NoError(a.t, err)
	require.NoError(a.t, a.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(a.t, err, "%s", a.log)
	a.status = urlInLine.FindString(line[strings.LastIndex(line, "status on"):])
	require.NotEmpty(a.t, a.status, line)
}

func (a *agent) kill() {
	if a.cmd.ProcessState == nil {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	}
}

// end stops the agent as an operator does, and wants exit code 0.
func (a *agent) end() time.Duration {
	a.t.Helper()
	began := time.Now()
	require.NoError(a.t, a.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(a.t, a.cmd.Wait(), "%s", a.log)
	return time.Since(began)
}

func (a *agent) signal(sig syscall.Signal) {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(sig))
}

// get reads one of the agent's own pages.
func (a *agent) get(path string) (int, string) {
	resp, err := http.Get(a.status + path)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

func (a *agent) ready() bool {
	status, _ := a.get("/ready")
	return status == 200
}

type agentStatus struct {
	Service, State string
	ID             string  `json:"serInstanceId"`
	Interval       float64 `json:"intervalSeconds"`
	LastAnswer     string
}

func (a *agent) services() (all []agentStatus) {
	a.t.Helper()
	_, body := a.get("/status")
	require.NoError(a.t, json.Unmarshal([]byte(body), &all), body)
	return all
}

func (a *agent) ids() (ids []string) {
	for _, s := range a.services() {
		ids = append(ids, s.ID)
	}
	return ids
}

// alive tells whether consumers discover n services.
func (s *server) alive(n int) bool {
	r, err := s.try("GET", base+"/services", "")
	return err == nil && r.status == 200 && len(r.list(s.t)) == n
}

func (s *server) stateOf(id string) string {
	s.t.Helper()
	return s.want(200, "GET", base+"/services/"+id, "").json(s.t)["state"].(string)
}

// recovers waits and tells how long it took.
func recovers(t *testing.T, what string, from time.Time, f func() bool) time.Duration {
	t.Helper()
	eventually(t, what, f)
	d := time.Since(from).Round(10 * time.Millisecond)
	t.Logf("%s: %s", what, d)
	return d
}
