package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/wait"
)

// manifest is the application with an agent that build/ ships for Kubernetes.
func manifest(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../build/kubernetes-agent.yaml")
	require.NoError(t, err)
	return string(b)
}

// shippedConfig is the configuration of the manifest, in a file, with another address of the
// application.
func shippedConfig(t *testing.T, app string) string {
	t.Helper()
	_, rest, found := strings.Cut(manifest(t), "  mep-agent.yaml: |\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "\n---\n")
	text = strings.ReplaceAll("\n"+text, "\n    ", "\n")
	require.Contains(t, text, `tcp: "127.0.0.1:8080"`)
	file := filepath.Join(t.TempDir(), "mep-agent.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, "127.0.0.1:8080", app, 1)), 0o600))
	return file
}

// shippedCommand runs a command of the manifest that follows the key, as the kubelet does, against
// this agent, and returns its exit code and what it printed.
func (a *agent) shippedCommand(key string) (int, string) {
	a.t.Helper()
	m := regexp.MustCompile(key + `:\s+(?:#.*\s+)?exec: \{command: \[/usr/local/bin/mep-agent, (.*)\]\}`).FindStringSubmatch(manifest(a.t))
	require.NotNil(a.t, m, key)
	var args []string
	for word := range strings.SplitSeq(m[1], ", ") {
		args = append(args, strings.Replace(strings.Trim(word, `"`), "127.0.0.1:30180", strings.TrimPrefix(a.url, "http://"), 1))
	}
	if args[0] == "stop" { // in its container the agent is process 1
		args = append(args, strconv.Itoa(a.PID()))
	}
	code, p := proc.Command{Program: mep.AgentBinary(a.t), Args: args}.Run(a.t, time.Minute)
	return code, p.Both.String()
}

func TestTheSidecarThatIsShippedIsProbedAndStopped(t *testing.T) {
	t.Parallel()
	platform := mep.Secure(t, quick...)
	s := platform.As(platform.Add("reader", "reader"))
	secret := filepath.Join(t.TempDir(), "client-secret")
	require.NoError(t, os.WriteFile(secret, []byte(platform.Add("my-app").Secret+"\n"), 0o600))
	app := proc.Free(t)
	way := proxy.Start(t, s.Listen)
	a := startAgent(t, shippedConfig(t, app), "MEP_PLATFORM_ENDPOINTS="+strings.Replace(way.URL(), "http:", "https:", 1), "MEP_PLATFORM_SERVER_NAME=127.0.0.2",
		"MEP_PLATFORM_CA_FILE="+platform.CA.File, "MEP_IDENTITY_TOKEN_URL="+s.URL+"/oauth2/token", "MEP_IDENTITY_CLIENT_SECRET_FILE="+secret, "MEP_LOCAL_LISTEN=127.0.0.1:0")
	code, out := a.shippedCommand("livenessProbe")
	require.Zero(t, code, "it runs: %s", out)
	code, out = a.shippedCommand("readinessProbe")
	require.Equal(t, 2, code, out)
	require.Regexp(t, `^not registered: 1 of 1 service\nface-recognition: \S`, out)
	require.True(t, listed(s, 0), "nothing is registered before the application takes connections")

	l, err := net.Listen("tcp", app)
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	wait.Until(t, "its service is alive", func() bool { code, _ = a.shippedCommand("readinessProbe"); return code == 0 })
	require.True(t, listed(s, 1))
	way.Set(proxy.Absent)
	wait.Until(t, "the agent misses the platform", func() bool { return !a.ready() })
	code, out = a.shippedCommand("readinessProbe")
	require.Zero(t, code, "a platform that is away takes no application out of service: %s", out)
	way.Set(proxy.Pass)

	code, out = a.shippedCommand("preStop")
	require.Zero(t, code, out)
	require.Zero(t, a.Wait(), "%s", a.Stderr)
	require.True(t, listed(s, 0), "it has deregistered")
	code, _ = a.shippedCommand("livenessProbe")
	require.Equal(t, 1, code, "it does not answer any more")
}

// check says what the agent then does, and the platform does not notice.
func TestCheckSaysWhatTheAgentWillDo(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, quick...)
	config := services(t, 2)
	env := []string{"MEP_PLATFORM_ENDPOINTS=" + s.URL}
	check := func(env []string, args ...string) (int, string) {
		code, p := proc.Command{Program: mep.AgentBinary(t), Args: append([]string{"check", "--config", config}, args...), Env: env}.Run(t, time.Minute)
		return code, p.Both.String()
	}
	code, out := check(env)
	require.Zero(t, code, out)
	require.Regexp(t, `(?m)^s0 +register +- `, out)
	require.Regexp(t, `(?m)^s1 +register +- `, out)
	require.True(t, listed(s, 0))

	a := startAgent(t, config, append(env, "MEP_APPLICATION_ON_STOP=leave")...)
	wait.Until(t, "all are alive", func() bool { return listed(s, 2) && a.ready() })
	ids := a.ids()
	a.end()
	other := s.Register("agent-app", "other", 5)
	code, out = check(env)
	require.Zero(t, code, out)
	for i, id := range ids {
		require.Regexp(t, `(?m)^s`+strconv.Itoa(i)+` +(adopt|update) +`+id+` `, out)
	}
	require.Regexp(t, `(?m)^other +leave +`+other.ID+` `, out)

	s.Stop()
	code, out = check(env)
	require.Equal(t, 2, code, out)
	require.Regexp(t, `(?m)^`+s.URL+` +TCP +failed .*refused`, out)
	code, out = check(env, "--offline")
	require.Zero(t, code, out)
}
