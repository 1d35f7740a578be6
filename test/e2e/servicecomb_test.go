package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
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

	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

// ServiceComb's own clients, which no part of this project wrote, against the program.
const scctlPackage = "github.com/apache/servicecomb-service-center/cmd/scctl"

var others struct {
	sync.Mutex
	built map[string]string
}

// otherProgram builds a program of a module of its own below this folder, once. Where
// the module proxy cannot be reached and nothing is cached, the test is skipped.
func otherProgram(t *testing.T, module, pkg string) string {
	t.Helper()
	others.Lock()
	defer others.Unlock()
	if others.built[pkg] != "" {
		return others.built[pkg]
	}
	target := filepath.Join(filepath.Dir(binary), "other-"+filepath.Base(pkg))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = module
		return cmd.CombinedOutput()
	}
	if out, err := run("build", "-o", target, pkg); err != nil {
		if why, missing := run("mod", "download"); missing != nil {
			t.Skipf("%s cannot be built here, its modules cannot be fetched: %v\n%s", pkg, missing, why)
		}
		t.Fatalf("go build %s in %s: %v\n%s", pkg, module, err, out)
	}
	if others.built == nil {
		others.built = map[string]string{}
	}
	others.built[pkg] = target
	return target
}

// client is a running program of which every line is kept.
type client struct {
	t     *testing.T
	mu    sync.Mutex
	lines []string
	read  int // by await
}

// runClient runs a program until the test ends; it ends itself when its input does.
func runClient(t *testing.T, program string, args ...string) *client {
	t.Helper()
	c := &client{t: t}
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "http_proxy=", "HTTP_PROXY=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, s.Text())
			c.mu.Unlock()
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = in.Close()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
	})
	return c
}

// await waits for a line that begins so, behind those that were awaited before.
func (c *client) await(prefix string) string {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c.mu.Lock()
		for i := c.read; i < len(c.lines); i++ {
			if strings.HasPrefix(c.lines[i], prefix) {
				c.read = i + 1
				c.mu.Unlock()
				return c.lines[i]
			}
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Fail(c.t, "no line that begins with "+prefix, "%s", strings.Join(c.lines, "\n"))
	return ""
}

// heart beats for a service while it is told to.
func heart(t *testing.T, v *service) *atomic.Bool {
	on, over := &atomic.Bool{}, make(chan struct{})
	on.Store(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if on.Load() {
				_, _ = v.s.try("PATCH", v.liveness, alive)
			}
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(over); <-ended })
	return on
}

// lively registers a service that answers below /rni, and beats for it.
func lively(t *testing.T, s *server, app, name string) (host string, beats *atomic.Bool) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "called ", r.URL.Path) }))
	t.Cleanup(backend.Close)
	body := strings.Replace(info(name, 1), "http://10.0.0.5:8080/x", backend.URL+"/rni", 1)
	m := s.want(201, "POST", base+"/applications/"+app+"/services", body).json(t)
	links := m["_links"].(map[string]any)
	return strings.TrimPrefix(backend.URL, "http://"), heart(t, &service{s: s, liveness: links["liveness"].(map[string]any)["href"].(string)})
}

// A consumer that go-chassis' sc-client serves, of another appId: it finds service-center
// and the service, hears of its death and of its return.
func TestServiceCombsGoClientFindsAndWatchesAService(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := otherProgram(t, "clients", "./scclient")
	s := start(t, fast...)
	host, beats := lively(t, s, "provider-1", "face-recognition")
	self := strings.TrimPrefix(s.url, "http://")
	endpoints := "http://" + host + "/rni rest://" + host + "?urlPrefix=%2Frni"

	c := runClient(t, program, self, "provider-1", "face-recognition")
	require.Equal(t, "health UP rest://"+self, c.await("health"))
	c.await("synced")
	require.Equal(t, "found UP "+endpoints, c.await("found"))
	require.Equal(t, "batch UP "+endpoints, c.await("batch"))
	c.await("instances 1")
	c.await("watching")
	for range 2 {
		beats.Store(false)
		c.await("event DELETE UP provider-1 face-recognition")
		c.await("event CREATE OUTOFSERVICE provider-1 face-recognition")
		beats.Store(true)
		c.await("event UPDATE UP provider-1 face-recognition")
	}
}

// A go-chassis application, of another appId and with autodiscovery, calls a service: it
// stops when that dies, and goes on when it returns.
func TestAGoChassisApplicationCallsAService(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := otherProgram(t, "clients", "./chassis")
	s := start(t, fast...)
	_, beats := lively(t, s, "provider-2", "radio-network")
	c := runClient(t, program, s.url, proc.Free(t), "provider-2", "http://radio-network/rni/v2/queries")
	for range 2 {
		c.await("answer 200 called /rni/v2/queries")
		beats.Store(false)
		c.await("error")
		beats.Store(true)
	}
	c.await("answer 200")
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NotContains(t, strings.Join(c.lines, "\n"), "get sc endpoints failed", "autodiscovery works")
}

// scctl, as its repository has it.
func TestScctlShowsServicesAndHealth(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := otherProgram(t, "scctl", scctlPackage)
	s := start(t, fast...)
	host, beats := lively(t, s, "provider-3", "location")
	scctl := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, append(args, "--addr", s.url)...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := scctl("health")
	require.NoError(t, err, out)
	out, err = scctl("version")
	require.NoError(t, err, out)
	out, err = scctl("get", "cluster")
	require.NoError(t, err, out)
	require.Eventually(t, func() bool {
		out, err = scctl("get", "inst")
		return err == nil && strings.Contains(out, "rest://"+host) && strings.Contains(out, "provider-3") && strings.Contains(out, "location")
	}, 20*time.Second, 200*time.Millisecond)
	out, err = scctl("get", "svc", "-o", "wide")
	require.NoError(t, err, out)
	require.Contains(t, out, "ETSI-MEC-011")
	beats.Store(false)
	out, err = scctl("health")
	require.NoError(t, err, "whatever becomes of a service: %s", out)
}
