package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// part is the fenced text below one marker of the README.
func part(t *testing.T, name, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)<!-- " + name + ": run by test/e2e -->\n```" + language + "\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, "the README has no %s", name)
	return string(found[1])
}

// The README's commands run from the root of the repository, as a new user has it,
// but for the build and the ports.
func TestAgentOfTheREADME(t *testing.T) {
	t.Parallel()
	path := mep.AgentBinary(t)
	s := mep.Start(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	local := proc.Free(t)
	env := []string{"MEP_PLATFORM_ENDPOINTS=" + s.URL, "MEP_LOCAL_LISTEN=" + local}
	words := strings.Fields(strings.Replace(part(t, "agent", "sh"), "go run ./cmd/mep-agent", path, 1))
	require.Equal(t, path, words[0])
	agent := proc.Command{Program: words[0], Args: words[1:], Dir: root, Env: env}.Start(t)
	wait.Until(t, "the two services of the shipped file are alive", func() bool { return listed(s, 2) })
	require.Contains(t, agent.Both.String(), "keeps 2 services of my-app alive at "+s.URL)

	script := strings.NewReplacer("URL=http://127.0.0.1:30100\n", "URL="+s.URL+"\n", "go run ./cmd/mep-agent", path).Replace(part(t, "agent, seen from outside", "sh"))
	code, look := proc.Command{Program: "bash", Args: []string{"-s"}, Dir: root, Env: env, Stdin: strings.NewReader(script)}.Run(t, 2*time.Minute)
	require.Zero(t, code, "%s", look.Both)
	require.Contains(t, look.Both.String(), `"serName":"plate-recognition"`)
	require.Regexp(t, `(?m)^face-recognition +beating +`, look.Both.String())

	agent.Signal(os.Interrupt)
	require.Zero(t, agent.WaitWithin(time.Minute), "%s", agent.Both)
	require.True(t, listed(s, 0), "Ctrl-C let them go as configured")
}

// foreign is what a program that embeds the agent must not carry.
var foreign = regexp.MustCompile(`servicecomb|etcd|go-chassis/(cari|go-chassis)|beego|google\.golang\.org/grpc|mepserver/(plugins|heartbeat|mp1/server|conf|cmd)`)

// A module of somebody else, made as the README says, builds, carries nothing of the
// server, and keeps its service alive.
func TestAgentInAForeignModule(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		code, p := proc.Command{Program: name, Args: args, Dir: dir, Env: []string{"GOFLAGS=-mod=mod", "GOWORK=off"}}.Run(t, 10*time.Minute)
		require.Zero(t, code, "%s %v: %s", name, args, p.Both)
		return p.Both.String()
	}
	for line := range strings.Lines(part(t, "module", "sh")) {
		words := strings.Fields(strings.Replace(line, "=../mepserver", "="+root, 1))
		run(words[0], words[1:]...)
	}
	s := mep.Start(t, steady...)
	program := part(t, "program", "go")
	require.Contains(t, program, "http://127.0.0.1:30100")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(strings.Replace(program, "http://127.0.0.1:30100", s.URL, 1)), 0o600))
	run("go", "mod", "tidy")
	var mod struct {
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	require.NoError(t, json.Unmarshal([]byte(run("go", "mod", "edit", "-json")), &mod))
	require.Len(t, mod.Replace, 1, "only the checkout itself is replaced")
	for _, m := range mod.Require {
		require.NotRegexp(t, foreign, m.Path)
	}
	deps := strings.Fields(run("go", "list", "-deps", "."))
	require.Contains(t, deps, "github.com/mec-liveness/mepserver/agent")
	require.Contains(t, deps, "github.com/mec-liveness/mepserver/mp1/client")
	for _, d := range deps {
		require.NotRegexp(t, foreign, d)
	}
	require.Regexp(t, foreign, run("go", "list", "-deps", "github.com/mec-liveness/mepserver/plugins/liveness"), "the pattern must find the server in what has it")
	for _, d := range strings.Fields(run("go", "list", "-deps", "github.com/mec-liveness/mepserver/mp1/client")) {
		if strings.Contains(strings.SplitN(d, "/", 2)[0], ".") {
			require.True(t, strings.HasPrefix(d, "github.com/mec-liveness/mepserver/mp1"), "mp1/client carries %s", d)
		}
	}

	run("go", "build", "-o", "app", ".")
	app := proc.Command{Program: filepath.Join(dir, "app")}.Start(t)
	wait.Until(t, "its service is alive", func() bool { return listed(s, 1) })
	time.Sleep(6 * time.Second)
	require.True(t, listed(s, 1), "and stays so beyond its window")
	app.Signal(os.Interrupt)
	require.Zero(t, app.WaitWithin(time.Minute), "%s", app.Both)
	require.True(t, listed(s, 0))
	info, err := os.Stat(filepath.Join(dir, "app"))
	require.NoError(t, err)
	t.Logf("the program: %d packages, %d modules, %.1f MiB", len(deps), len(mod.Require), float64(info.Size())/(1<<20))
}
