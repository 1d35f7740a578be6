package docs

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/tier"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if programsDir != "" {
		_ = os.RemoveAll(programsDir)
	}
	os.Exit(code)
}

// first are the documents that a newcomer tries, and `go test ./...` with him. The others
// take longer, and are run when they are asked for.
var first = []string{"README.md", "docs/tutorial.md"}

// ownSettings are the documents whose configurations say where the programs listen: the
// environment would win over them.
var ownSettings = []string{"docs/security.md"}

// documents are all Markdown files of the repository with their text.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && slices.Contains([]string{".git", "testdata", "data", "bin", "dist"}, name) {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(root, path)
			all[filepath.ToSlash(rel)] = string(text)
			return err
		}
		return nil
	})
	require.NoError(t, err)
	return all
}

// Each document is typed in from its top to its end, by a reader who has the checkout and
// nothing else, and must print what it shows.
func TestEveryDocumentDoesWhatItShows(t *testing.T) {
	for path, text := range documents(t) {
		blocks, faults := Parse(path, text)
		if len(blocks) == 0 {
			continue
		}
		t.Run(path, func(t *testing.T) {
			require.Empty(t, faults)
			s := &session{t: t}
			if slices.ContainsFunc(blocks, func(b Block) bool { return b.Do != "checked" }) {
				if !slices.Contains(first, path) {
					tier.Long(t, "test/docs", "runs a whole document")
				}
				t.Parallel()
				s = newSession(t, !slices.Contains(ownSettings, path))
			}
			for _, b := range blocks {
				s.do(b)
			}
		})
	}
}

// README's first two commands, as they stand, in a copy of what is in the repository.
func TestTheTwoCommandsOnACleanClone(t *testing.T) {
	tier.Long(t, "test/docs", "builds the programs anew")
	t.Parallel()
	s := newSession(t, true)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	blocks, _ := Parse("README.md", string(text))
	build, start, ready := blocks[0], blocks[1], blocks[2]
	require.Regexp(t, buildLine, build.Text)
	require.Equal(t, "bin/mepserver\n", start.Text)
	require.Equal(t, []string{"prints", start.Name}, []string{ready.Do, ready.Name})
	clone := filepath.Join(t.TempDir(), "clone")
	out, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", root, clone).CombinedOutput()
	if err != nil {
		t.Skipf("no clone can be made here: %s", out)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", build.Text)
	cmd.Dir = clone
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.cwd = clone
	s.do(start)
	s.do(ready)
	s.stop(start.Name)
	cmd = exec.CommandContext(t.Context(), "git", "status", "--porcelain")
	cmd.Dir = clone
	out, err = cmd.CombinedOutput()
	require.NoError(t, err)
	require.Empty(t, string(out), "nothing that git would add is left behind")
}

// ofTheServer is what a program that embeds the agent must not carry.
var ofTheServer = regexp.MustCompile(`servicecomb|etcd|go-chassis/(cari|go-chassis)|beego|google\.golang\.org/grpc|mepserver/(plugins|heartbeat|mp1/server|conf|cmd)`)

// A module of somebody else that has the agent, as docs/application-developers.md makes
// it, carries nothing of the server.
func TestAProgramWithTheAgentCarriesNothingOfTheServer(t *testing.T) {
	tier.Long(t, "test/docs", "resolves the modules of a program")
	t.Parallel()
	const path = "docs/sdk.md"
	blocks, _ := Parse(path, documents(t)[path])
	at := slices.IndexFunc(blocks, func(b Block) bool { return strings.Contains(b.Text, "mepserver/agent\"") })
	require.Positive(t, at, "%s has no program with the agent", path)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(blocks[at].Text), 0o600))
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %v: %s", args, out)
		return string(out)
	}
	run("mod", "init", "example.org/my-app")
	run("mod", "edit", "-require=github.com/mec-liveness/mepserver@v0.0.0", "-replace=github.com/mec-liveness/mepserver="+checkout)
	run("mod", "tidy")
	var mod struct {
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	require.NoError(t, json.Unmarshal([]byte(run("mod", "edit", "-json")), &mod))
	require.Len(t, mod.Replace, 1, "only the checkout itself is replaced")
	for _, m := range mod.Require {
		require.NotRegexp(t, ofTheServer, m.Path)
	}
	deps := strings.Fields(run("list", "-deps", "."))
	require.Contains(t, deps, "github.com/mec-liveness/mepserver/agent")
	require.Contains(t, deps, "github.com/mec-liveness/mepserver/mp1/client")
	for _, d := range deps {
		require.NotRegexp(t, ofTheServer, d)
	}
	require.Regexp(t, ofTheServer, run("list", "-deps", "github.com/mec-liveness/mepserver/plugins/liveness"), "the pattern must find the server in what has it")
	for _, d := range strings.Fields(run("list", "-deps", "github.com/mec-liveness/mepserver/mp1/client")) {
		if strings.Contains(strings.SplitN(d, "/", 2)[0], ".") {
			require.Regexp(t, `^github\.com/(mec-liveness/mepserver/mp1|coder/websocket)(/|$)`, d, "of others mp1/client carries the library for WebSockets alone")
		}
	}
}
