package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// agent is one running mep-agent.
type agent struct {
	*proc.Process
	t       *testing.T
	command proc.Command
	url     string // of its own pages
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

// startAgent runs an agent with this configuration until the test ends.
func startAgent(t *testing.T, config string, env ...string) *agent {
	t.Helper()
	return startAgentIn(t, t.TempDir(), []string{"--config", config}, env...)
}

func startAgentIn(t *testing.T, dir string, args []string, env ...string) *agent {
	t.Helper()
	a := &agent{t: t, command: proc.Command{Program: mep.AgentBinary(t), Args: args, Env: env, Dir: dir}}
	a.restart()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", a.Stderr)
		}
	})
	return a
}

func (a *agent) restart() {
	a.t.Helper()
	a.Process = a.command.Start(a.t)
	_, status, ok := strings.Cut(a.FirstLine(time.Minute), "status on ")
	require.True(a.t, ok, "%s", a.Stderr)
	a.url = strings.TrimSuffix(strings.Fields(status)[0], "/status")
}

// end stops the agent as an operator does, and wants exit code 0.
func (a *agent) end() time.Duration {
	a.t.Helper()
	began := time.Now()
	require.Zero(a.t, a.Terminate(), "%s", a.Stderr)
	return time.Since(began)
}

// get reads one of the agent's own pages.
func (a *agent) get(path string) (int, string) {
	resp, err := http.Get(a.url + path)
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
	LastBeat       time.Time
	NextBeat       time.Time
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

// recovers waits and tells how long it took.
func recovers(t *testing.T, what string, from time.Time, f func() bool) time.Duration {
	t.Helper()
	wait.Until(t, what, f)
	d := time.Since(from).Round(10 * time.Millisecond)
	t.Logf("%s: %s", what, d)
	return d
}
