package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

// fullPipe is a pipe that is already full and that nobody reads.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	require.NoError(t, w.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = w.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	return r, w
}

// launchWith runs a server with these outputs.
func launchWith(t *testing.T, out, errs *os.File, env ...string) *server {
	t.Helper()
	built.Depend()
	listen := proc.Free(t)
	s := &server{t: t, dir: t.TempDir(), url: "http://" + listen, http: newClient()}
	s.cmd = exec.Command(binary, "--listen", listen, "--data-dir", s.dir)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = out, errs
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	eventually(t, "it is ready", func() bool {
		r, err := s.try("GET", "/ready", "")
		return err == nil && r.status == 200
	})
	return s
}

// stops asks the server to stop, which takes no longer than was promised.
func (s *server) stops() {
	s.t.Helper()
	late := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	s.signal(syscall.SIGTERM)
	require.NoError(s.t, s.cmd.Wait(), "exit 0 within ten seconds")
}

// Nobody reads either output, and both are full from the start: after 64 kB of lines
// registrations hung, the dead stayed discoverable, and SIGTERM was not obeyed.
func TestOutputsThatNobodyReadsHoldNothingUp(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", "waits for a death and for the end of a reader's patience")
	_, out := fullPipe(t)
	_, errs := fullPipe(t)
	s := launchWith(t, out, errs, fast...)
	dies, lives := s.register("p", "dies", 1), s.register("p", "lives", 60)
	for i := range 600 { // more than 64 kB of lines
		s.register("p", fmt.Sprint("s", i), -1)
	}
	eventually(t, "its death is noticed", func() bool { return dies.state() == "SUSPENDED" })
	require.False(t, dies.discovered())
	lives.beat()
	require.Equal(t, "ACTIVE", lives.state())
	s.stops()
}

// The reader goes away, as in mepserver 2>&1 | head, before the line on standard output or
// while it runs: the server lives on, and counts.
func TestAReaderThatGoesAwayEndsNothing(t *testing.T) {
	t.Parallel()
	gone, out, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	r, errs, err := os.Pipe()
	require.NoError(t, err)
	s := launchWith(t, out, errs, fast...)
	require.NoError(t, out.Close())
	require.NoError(t, errs.Close())
	require.NoError(t, r.Close())
	for range 5 {
		s.register("p", "x", 60).beat()
	}
	eventually(t, "the lines are counted", func() bool { return s.metric("mep_log_lines_dropped_total") >= 5 })
	s.stops()
}

// A crash writes its trace, past the log, where nobody reads: it must end all the same.
func TestACrashDoesNotWaitForWhoReads(t *testing.T) {
	t.Parallel()
	_, errs := fullPipe(t)
	s := launchWith(t, nil, errs)
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	s.signal(syscall.SIGQUIT)
	select {
	case err := <-ended:
		require.Error(t, err)
	case <-time.After(30 * time.Second):
		require.Fail(t, "it hangs")
	}
}

// A signal at any moment of the start is no failure, and nothing is said of it.
func TestAStopDuringTheStartIsQuiet(t *testing.T) {
	t.Parallel()
	for moment, reached := range map[string]func(dir, url string) bool{
		"the directory is locked": func(dir, _ string) bool { return exists(dir, "LOCK") },
		"the store is made":       func(dir, _ string) bool { return exists(dir, "etcd", "member", "snap", "db") },
		"it listens": func(_, url string) bool {
			r, err := (&server{url: url, http: newClient()}).try("GET", "/health", "")
			return err == nil && r.status == 200
		},
		"it is ready": func(_, url string) bool {
			r, err := (&server{url: url, http: newClient()}).try("GET", "/ready", "")
			return err == nil && r.status == 200
		},
	} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			built.Depend()
			listen, dir, errs := proc.Free(t), t.TempDir(), &bytes.Buffer{}
			s := &server{t: t}
			s.cmd = exec.Command(binary, "--listen", listen, "--data-dir", dir)
			s.cmd.Stderr = errs
			require.NoError(t, s.cmd.Start())
			t.Cleanup(s.kill)
			for end := time.Now().Add(time.Minute); !reached(dir, "http://"+listen); {
				require.True(t, time.Now().Before(end), "never: %s", moment)
			}
			s.stops()
			require.Empty(t, errs.String())
			startIn(t, dir) // and what it leaves can be started again
		})
	}
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

// What keeps the store from being opened is one line that says what to do, never a trace.
func TestAStartThatFailsIsOneLine(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, path ...string) {
		t.Helper()
		name := filepath.Join(path...)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	for name, c := range map[string]struct {
		limit   string
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"memory":                  {"ulimit -v 3500000;", nil, "ulimit -v"},
		"size of a file":          {"ulimit -f 1000;", nil, "ulimit -f"},
		"open files":              {"ulimit -n 16;", nil, "ulimit -n"},
		"a file for the database": {"", func(t *testing.T, dir string) { put(t, dir, "etcd") }, "a file is where a directory must be"},
		"a file for the snapshots": {"", func(t *testing.T, dir string) { put(t, dir, "etcd", "member", "snap") },
			"a file is where a directory must be"},
		"a directory for the database": {"", func(t *testing.T, dir string) { put(t, dir, "etcd", "member", "snap", "db", "x") },
			"is a directory"},
		"a directory for the lock": {"", func(t *testing.T, dir string) { put(t, dir, "LOCK", "x") }, "a directory is where a file must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built.Depend()
			dir := t.TempDir()
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			var errs bytes.Buffer
			cmd := exec.Command("sh", "-c", c.limit+` exec "$0" --listen 127.0.0.1:0 --data-dir "$1"`, binary, dir)
			cmd.Stderr = &errs
			require.NoError(t, cmd.Start())
			late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			require.Error(t, cmd.Wait())
			require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", &errs)
			lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
			at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "mepserver: ") }) // what a library printed may come later
			require.GreaterOrEqual(t, at, 0, "%s", &errs)
			require.Contains(t, lines[at], c.want)
			for _, l := range slices.Delete(lines, at, at+1) { // net/http finds no file for a connection, and there may be few for all
				require.True(t, json.Valid([]byte(l)), "%s", l)
			}
			require.LessOrEqual(t, len(lines), 3, "%s", &errs)
		})
	}
}

// A request to ServiceComb's API writes a few lines, whatever it holds: none of them an
// error, none with the body in it, and the operator is the peer.
func TestWhatServiceCombsClientsDoWrongIsAFewLines(t *testing.T) {
	t.Parallel()
	s := start(t)
	const registry, secret, forged = "/v4/default/registry", "hush-hush", "6.6.6.6"
	var beats, finds []string
	for i := range 4000 {
		beats = append(beats, fmt.Sprintf(`{"serviceId":"s%d","instanceId":"i%d"}`, i, i))
		finds = append(finds, fmt.Sprintf(`{"service":{"appId":"a","serviceName":"x%d","version":"1.0.0"}}`, i))
	}
	r := s.want(200, "POST", registry+"/microservices", `{"service":{"serviceName":"s","appId":"a","version":"1.0.0"}}`)
	service := registry + "/microservices/" + r.json(t)["serviceId"].(string)
	before := len(s.log.String())
	for _, c := range []struct{ method, path, body string }{
		{"PUT", registry + "/heartbeats", `{"Instances":[` + strings.Join(beats, ",") + `]}`},
		{"POST", registry + "/instances/action?type=query", `{"services":[` + strings.Join(finds, ",") + `]}`},
		{"POST", registry + "/microservices", `{"password":"` + secret + `",`},
		{"POST", service + "/tags", `{"tags":{"` + strings.Repeat("k", 500) + `":"` + secret + `"}}`},
		{"PUT", registry + "/dependencies", `{"dependencies":[` + strings.Repeat(`{"consumer":{"serviceName":"`+secret+`"}},`, 200) + `{}]}`},
		{"PUT", service + "/instances/nobody/heartbeat", ""},
		{"DELETE", service + "/instances/nobody", ""},
		{"GET", service + "/watcher", ""},
	} {
		for range 20 {
			res := s.do(c.method, c.path, c.body, "X-Forwarded-For", forged, "X-Real-Ip", forged, "X-Domain-Name", "default")
			require.Less(t, res.status, 500, "%s %s: %s", c.method, c.path, res.body)
		}
		log := s.log.String()
		more := log[before:]
		before = len(log)
		require.LessOrEqual(t, strings.Count(more, "\n"), 4, "%s %s:\n%.3000s", c.method, c.path, more)
		require.LessOrEqual(t, len(more), 4096, "%s %s", c.method, c.path)
	}
	_, _ = s.try("GET", registry+"/microservices", "", "X-Domain-Name", "\xff\xfe") // net/http may refuse it
	log := s.log.String()
	require.LessOrEqual(t, strings.Count(log[before:], "\n"), 2)
	require.NotContains(t, log, `"level":"ERROR"`)
	require.NotContains(t, log, secret)
	require.NotContains(t, log, forged)
	require.Contains(t, log, "operator 127.0.0.1")
}

// The agent's outputs are nobody's either: both are full, or closed, from the start.
func TestAnAgentWhoseOutputsNobodyTakesBeatsOn(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", "waits for several windows")
	for name, outputs := range map[string]func(t *testing.T) (out, errs *os.File){
		"nobody reads": func(t *testing.T) (*os.File, *os.File) {
			_, out := fullPipe(t)
			_, errs := fullPipe(t)
			return out, errs
		},
		"they are closed": func(t *testing.T) (*os.File, *os.File) {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, r.Close())
			t.Cleanup(func() { _ = w.Close() })
			return w, w
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, local := start(t, steady...), proc.Free(t)
			r := newRelay(t, s)
			path, err := agentBinary()
			require.NoError(t, err)
			cmd := exec.Command(path, "--config", services(t, 3))
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "MEP_PLATFORM_ENDPOINTS="+r.url(), "MEP_LOCAL_LISTEN="+local)
			cmd.Stdout, cmd.Stderr = outputs(t)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			eventually(t, "its services are registered", func() bool { return s.alive(3) })
			a := &agent{t: t, status: "http://" + local}
			ids := a.ids()
			r.cut() // which it logs
			time.Sleep(2 * time.Second)
			r.join()
			eventually(t, "it beats again", func() bool { return s.alive(3) && a.ready() })
			time.Sleep(8 * time.Second)
			require.True(t, s.alive(3), "it has beaten for more than a window")
			require.Equal(t, ids, a.ids())
			if name == "they are closed" {
				_, metrics := a.get("/metrics")
				require.Regexp(t, `(?m)^mep_agent_log_lines_dropped_total [1-9]`, metrics)
			}
			late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, cmd.Wait(), "exit 0 within ten seconds")
			eventually(t, "its services are gone", func() bool { return s.alive(0) })
		})
	}
}
