package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// ServiceComb's own clients, which no part of this project wrote, against the program.
const scctlPackage = "github.com/apache/servicecomb-service-center/cmd/scctl"

// client is a running program whose lines a test awaits.
type client struct {
	*proc.Process
	t    *testing.T
	read int // how much of its output await has passed
}

// runClient runs a program until the test ends; it ends itself when its input does.
func runClient(t *testing.T, program string, args ...string) *client {
	t.Helper()
	in, end := io.Pipe()
	c := &client{t: t}
	c.Process = proc.Command{Program: program, Args: args, Env: []string{"http_proxy=", "HTTP_PROXY="}, Dir: t.TempDir(), Stdin: in}.Start(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the client printed:\n%s", c.Both)
		}
		_ = end.Close()
		c.WaitWithin(5 * time.Second)
	})
	return c
}

// await waits for a line that begins so, behind those that were awaited before.
func (c *client) await(prefix string) (line string) {
	c.t.Helper()
	wait.Until(c.t, "a line that begins with "+prefix, func() bool {
		at := c.read
		for line = range strings.Lines(c.Both.String()[c.read:]) {
			if !strings.HasSuffix(line, "\n") {
				return false
			}
			if at += len(line); strings.HasPrefix(line, prefix) {
				c.read = at
				return true
			}
		}
		return false
	})
	return strings.TrimSuffix(line, "\n")
}

// beatWhileOn beats for a service while the switch that it returns is on.
func beatWhileOn(t *testing.T, v *mep.Service) *atomic.Bool {
	on, over := &atomic.Bool{}, make(chan struct{})
	on.Store(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if on.Load() {
				_, _ = v.Server.Try("PATCH", v.Liveness, mep.Alive)
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

// registerBackend registers a service that answers below /rni, and beats for it.
func registerBackend(t *testing.T, s *mep.Server, app, name string) (host string, beats *atomic.Bool) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "called ", r.URL.Path) }))
	t.Cleanup(backend.Close)
	v := s.RegisterInfo(app, strings.Replace(mep.Info(name, 1), "http://10.0.0.5:8080/x", backend.URL+"/rni", 1))
	return strings.TrimPrefix(backend.URL, "http://"), beatWhileOn(t, v)
}

// A consumer that go-chassis' sc-client serves, of another appId: it finds service-center
// and the service, hears of its death and of its return.
func TestServiceCombsGoClientFindsAndWatchesAService(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := built.Module(t, "test/e2e/clients", "./scclient")
	s := mep.Start(t, mep.Fast...)
	host, beats := registerBackend(t, s, "provider-1", "face-recognition")
	self := s.Listen
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
	program := built.Module(t, "test/e2e/clients", "./chassis")
	s := mep.Start(t, mep.Fast...)
	_, beats := registerBackend(t, s, "provider-2", "radio-network")
	c := runClient(t, program, s.URL, proc.Free(t), "provider-2", "http://radio-network/rni/v2/queries")
	for range 2 {
		c.await("answer 200 called /rni/v2/queries")
		beats.Store(false)
		c.await("error")
		beats.Store(true)
	}
	c.await("answer 200")
	existence := s.Do(http.MethodGet, "/v4/default/registry/existence?type=microservice&appId=shop&serviceName=till&version=1.0.0", "")
	require.Equal(t, http.StatusOK, existence.Status, "it is of the application that its configuration says: %s", existence.Body)
	require.NotContains(t, c.Both.String(), "get sc endpoints failed", "autodiscovery works")
}

// scctl, as its repository has it.
func TestScctlShowsServicesAndHealth(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := built.Module(t, "test/e2e/scctl", scctlPackage)
	s := mep.Start(t, mep.Fast...)
	host, beats := registerBackend(t, s, "provider-3", "location")
	scctl := func(args ...string) string {
		t.Helper()
		code, p := proc.Command{Program: program, Args: append(args, "--addr", s.URL), Dir: t.TempDir()}.Run(t, 30*time.Second)
		require.Zero(t, code, "%s", p.Both)
		return p.Both.String()
	}
	scctl("health")
	scctl("version")
	scctl("get", "cluster")
	wait.Until(t, "the instance is shown", func() bool {
		out := scctl("get", "inst")
		return strings.Contains(out, "rest://"+host) && strings.Contains(out, "provider-3") && strings.Contains(out, "location")
	})
	require.Contains(t, scctl("get", "svc", "-o", "wide"), "ETSI-MEC-011")
	beats.Store(false)
	scctl("health") // whatever becomes of a service
}
