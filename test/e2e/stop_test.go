package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
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

// Nobody reads either output, and both are full from the start: after 64 kB of lines
// registrations hung, the dead stayed discoverable, and SIGTERM was not obeyed.
func TestOutputsThatNobodyReadsHoldNothingUp(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", "waits for a death and for the end of a reader's patience")
	_, out := fullPipe(t)
	_, errs := fullPipe(t)
	s := mep.Options{StdoutTo: out, StderrTo: errs, Env: mep.Fast}.Start(t)
	dies, lives := s.Register("p", "dies", 1), s.Register("p", "lives", 60)
	for i := range 600 { // more than 64 kB of lines
		s.Register("p", fmt.Sprint("s", i), -1)
	}
	wait.Until(t, "its death is noticed", func() bool { return dies.State() == "SUSPENDED" })
	require.False(t, dies.Discovered())
	lives.Beat()
	require.Equal(t, "ACTIVE", lives.State())
	s.Stop()
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
	s := mep.Options{StdoutTo: out, StderrTo: errs, Env: mep.Fast}.Start(t)
	require.NoError(t, out.Close())
	require.NoError(t, errs.Close())
	require.NoError(t, r.Close())
	for range 5 {
		s.Register("p", "x", 60).Beat()
	}
	wait.Until(t, "the lines are counted", func() bool { return s.Metric("mep_log_lines_dropped_total") >= 5 })
	s.Stop()
}

// A crash writes its trace, past the log, where nobody reads: it must end all the same.
func TestACrashDoesNotWaitForWhoReads(t *testing.T) {
	t.Parallel()
	_, errs := fullPipe(t)
	s := mep.Options{StderrTo: errs}.Start(t)
	s.Signal(syscall.SIGQUIT)
	require.Equal(t, 2, s.WaitWithin(30*time.Second), "it does not hang, nor end as if nothing were")
}

// A signal at any moment of the start is no failure, and nothing is said of it.
func TestAStopDuringTheStartIsQuiet(t *testing.T) {
	t.Parallel()
	for moment, reached := range map[string]func(dir, url string) bool{
		"the directory is locked": func(dir, _ string) bool { return exists(dir, "LOCK") },
		"the store is made":       func(dir, _ string) bool { return exists(dir, "etcd", "member", "snap", "db") },
		"it listens":              func(_, url string) bool { return isOK(url + "/health") },
		"it is ready":             func(_, url string) bool { return isOK(url + "/ready") },
	} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			built.Depend()
			listen, dir := proc.Free(t), t.TempDir()
			p := proc.Command{Program: mep.Binary(), Args: []string{"--listen", listen, "--data-dir", dir}}.Start(t)
			for end := time.Now().Add(time.Minute); !reached(dir, "http://"+listen); {
				require.True(t, time.Now().Before(end), "never: %s", moment)
				time.Sleep(time.Millisecond)
			}
			require.Zero(t, p.Terminate(), "%s", p.Stderr)
			require.Empty(t, p.Stderr.String())
			mep.Options{DataDir: dir}.Start(t) // and what it leaves can be started again
		})
	}
}

func isOK(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
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
		"memory":                  {"ulimit -v 3500000", nil, "ulimit -v"},
		"size of a file":          {"ulimit -f 1000", nil, "ulimit -f"},
		"open files":              {"ulimit -n 16", nil, "ulimit -n"},
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
			code, p := proc.Command{Program: mep.Limited(t, c.limit), Args: []string{"--listen", "127.0.0.1:0", "--data-dir", dir}}.Run(t, time.Minute)
			require.Equal(t, 1, code, "%s", p.Stderr)
			lines := strings.Split(strings.TrimSpace(p.Stderr.String()), "\n")
			at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "mepserver: ") }) // what a library printed may come later
			require.GreaterOrEqual(t, at, 0, "%s", p.Stderr)
			require.Contains(t, lines[at], c.want)
			for _, l := range slices.Delete(lines, at, at+1) { // net/http finds no file for a connection, and there may be few for all
				require.True(t, json.Valid([]byte(l)), "%s", l)
			}
			require.LessOrEqual(t, len(lines), 3, "%s", p.Stderr)
		})
	}
}

// A request to ServiceComb's API writes a few lines, whatever it holds: none of them an
// error, none with the body in it, and the operator is the peer.
func TestWhatServiceCombsClientsDoWrongIsAFewLines(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	const registry, secret, forged = "/v4/default/registry", "hush-hush", "6.6.6.6"
	var beats, finds []string
	for i := range 4000 {
		beats = append(beats, fmt.Sprintf(`{"serviceId":"s%d","instanceId":"i%d"}`, i, i))
		finds = append(finds, fmt.Sprintf(`{"service":{"appId":"a","serviceName":"x%d","version":"1.0.0"}}`, i))
	}
	r := s.Want(200, "POST", registry+"/microservices", `{"service":{"serviceName":"s","appId":"a","version":"1.0.0"}}`)
	service := registry + "/microservices/" + r.Object(t)["serviceId"].(string)
	before := len(s.Log())
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
			res := s.Do(c.method, c.path, c.body, "X-Forwarded-For", forged, "X-Real-Ip", forged, "X-Domain-Name", "default")
			require.Less(t, res.Status, 500, "%s %s: %s", c.method, c.path, res.Body)
		}
		log := s.Log()
		more := log[before:]
		before = len(log)
		require.LessOrEqual(t, strings.Count(more, "\n"), 4, "%s %s:\n%.3000s", c.method, c.path, more)
		require.LessOrEqual(t, len(more), 4096, "%s %s", c.method, c.path)
	}
	_, _ = s.Try("GET", registry+"/microservices", "", "X-Domain-Name", "\xff\xfe") // net/http may refuse it
	log := s.Log()
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
			s, local := mep.Start(t, steady...), proc.Free(t)
			r := proxy.Start(t, s.Listen)
			out, errs := outputs(t)
			a := &agent{t: t, url: "http://" + local}
			a.Process = proc.Command{Program: mep.AgentBinary(t), Args: []string{"--config", services(t, 3)}, Dir: t.TempDir(),
				Env: []string{"MEP_PLATFORM_ENDPOINTS=" + r.URL(), "MEP_LOCAL_LISTEN=" + local}, StdoutTo: out, StderrTo: errs}.Start(t)
			wait.Until(t, "its services are registered, and it knows that", func() bool {
				return listed(s, 3) && len(a.ids()) == 3 && !slices.Contains(a.ids(), "")
			})
			ids := a.ids()
			r.Set(proxy.Absent) // which it logs
			time.Sleep(2 * time.Second)
			r.Set(proxy.Pass)
			wait.Until(t, "it beats again", func() bool { return listed(s, 3) && a.ready() })
			time.Sleep(8 * time.Second)
			require.True(t, listed(s, 3), "it has beaten for more than a window")
			require.Equal(t, ids, a.ids())
			if name == "they are closed" {
				_, metrics := a.get("/metrics")
				require.Regexp(t, `(?m)^mep_agent_log_lines_dropped_total [1-9]`, metrics)
			}
			require.Zero(t, a.Terminate())
			wait.Until(t, "its services are gone", func() bool { return listed(s, 0) })
		})
	}
}
