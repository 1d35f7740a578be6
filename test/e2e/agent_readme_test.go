package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
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
	path, err := agentBinary()
	require.NoError(t, err)
	s := start(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	local := proc.Free(t)
	env := append(os.Environ(), "MEP_PLATFORM_ENDPOINTS="+s.url, "MEP_LOCAL_LISTEN="+local)
	words := strings.Fields(strings.Replace(part(t, "agent", "sh"), "go run ./cmd/mep-agent", path, 1))
	require.Equal(t, path, words[0])
	log := &syncBuffer{}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr, cmd.Stdout = root, env, log, log
	require.NoError(t, cmd.Start())
	defer func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	eventually(t, "the two services of the shipped file are alive", func() bool { return s.alive(2) })
	require.Contains(t, log.String(), "keeps 2 services of my-app alive at "+s.url)

	script := strings.NewReplacer("URL=http://127.0.0.1:30100\n", "URL="+s.url+"\n", "go run ./cmd/mep-agent", path).Replace(part(t, "agent, seen from outside", "sh"))
	look := exec.Command("bash", "-s")
	look.Dir, look.Env, look.Stdin = root, env, strings.NewReader(script)
	out, err := look.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"serName":"plate-recognition"`)
	require.Regexp(t, `(?m)^face-recognition +beating +`, string(out))

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s", log)
	require.True(t, s.alive(0), "Ctrl-C let them go as configured")
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
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %v: %s", name, args, out)
		return string(out)
	}
	for line := range strings.Lines(part(t, "module", "sh")) {
		words := strings.Fields(strings.Replace(line, "=../mepserver", "="+root, 1))
		run(words[0], words[1:]...)
	}
	s := start(t, steady...)
	program := part(t, "program", "go")
	require.Contains(t, program, "http://127.0.0.1:30100")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(strings.Replace(program, "http://127.0.0.1:30100", s.url, 1)), 0o600))
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
	app := exec.Command(filepath.Join(dir, "app"))
	log := &syncBuffer{}
	app.Stdout, app.Stderr = log, log
	require.NoError(t, app.Start())
	defer func() {
		if app.ProcessState == nil {
			_ = app.Process.Kill()
			_ = app.Wait()
		}
	}()
	eventually(t, "its service is alive", func() bool { return s.alive(1) })
	time.Sleep(6 * time.Second)
	require.True(t, s.alive(1), "and stays so beyond its window")
	require.NoError(t, app.Process.Signal(syscall.SIGINT))
	require.NoError(t, app.Wait(), "%s", log)
	require.True(t, s.alive(0))
	info, err := os.Stat(filepath.Join(dir, "app"))
	require.NoError(t, err)
	t.Logf("the program: %d packages, %d modules, %.1f MiB", len(deps), len(mod.Require), float64(info.Size())/(1<<20))
}
