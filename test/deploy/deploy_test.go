// Package deploy checks the shipped deployment files against the program that they
// deploy, for where no container engine runs. It knows files, conf and what mepserver init makes; it must not
// know anything else of the program's inside.
//
// It needs nothing but Go and a second, and is part of go test ./...
package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"
)

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Entrypoint  []string
	Command     []string
	Environment map[string]string
	Networks    []string
	Ports       []any
	NetworkMode string `yaml:"network_mode"`
	Privileged  bool
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Restart     string
	StopGrace   string                                `yaml:"stop_grace_period"`
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	User        string
	Volumes     []string
	Configs     []struct{ Source, Target string }
	Healthcheck struct{ Test []string }
	Profiles    []string
	Tmpfs       []string
}

type compose struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
	Configs  map[string]struct{ Content, File string }
	Volumes  map[string]any
}

// once are the services that make something and end.
var once = []string{"init", "credential", "ca", "reader", "reader-ca"}

// watching are those of the profile monitoring.
var watching = []string{"grafana", "prometheus", "reader", "reader-ca"}

func load(t *testing.T) compose {
	t.Helper()
	b, err := os.ReadFile("../../build/compose.yaml")
	require.NoError(t, err)
	var c compose
	require.NoError(t, yaml.Unmarshal(b, &c))
	return c
}

func (c compose) named(prefix string) (names []string) {
	for name := range c.Services {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestTheComposeFileIsOnePrivateNetwork(t *testing.T) {
	c := load(t)
	require.Len(t, c.named("etcd-"), 3)
	require.Len(t, c.named("mepserver-"), 3)
	require.Equal(t, []string{"agent"}, c.named("agent"))
	require.Len(t, c.Services, 10+len(watching))
	require.Len(t, c.Networks, 2)
	require.True(t, c.Networks["mec"].Internal)
	for name, s := range c.Services {
		if slices.Contains(watching, name) {
			require.Equal(t, []string{"monitoring"}, s.Profiles, name)
		} else {
			require.Empty(t, s.Profiles, name)
		}
		if name != "prometheus" && name != "grafana" { // see TestWhatWatchesIsPublishedOnLoopbackOnly
			require.Equal(t, []string{"mec"}, s.Networks, name)
			require.Empty(t, s.Ports, "%s: nothing is published", name)
		}
		require.Empty(t, s.NetworkMode, name)
		require.False(t, s.Privileged, name)
		require.Regexp(t, regexp.MustCompile(`:(dev|v?\d+\.\d+\.\d+)$`), s.Image, "%s: a fixed version", name)
		restart := "unless-stopped"
		if slices.Contains(once, name) {
			restart = "on-failure"
		}
		require.Equal(t, restart, s.Restart, name)
		for d, how := range s.DependsOn {
			require.Contains(t, c.Services, d, name)
			require.Equal(t, slices.Contains(once, d), how.Condition == "service_completed_successfully", "%s waits for %s", name, d)
		}
		if !strings.HasPrefix(name, "etcd-") {
			require.True(t, s.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, s.CapDrop, name)
			require.Equal(t, "15s", s.StopGrace, "%s: longer than the ten seconds of a stop", name)
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			require.Contains(t, c.Volumes, volume, name)
		}
	}
}

func TestEtcdMembersNameEachOther(t *testing.T) {
	c := load(t)
	var cluster []string
	for _, name := range c.named("etcd-") {
		cluster = append(cluster, name+"=http://"+name+":2380")
	}
	for _, name := range c.named("etcd-") {
		s := c.Services[name]
		for _, want := range []string{"--name=" + name, "--initial-cluster=" + strings.Join(cluster, ","), "--advertise-client-urls=http://" + name + ":2379",
			"--initial-advertise-peer-urls=http://" + name + ":2380", "--auto-compaction-retention=1h"} {
			require.Contains(t, s.Command, want)
		}
		require.Equal(t, []string{name + ":/data"}, s.Volumes)
		module, err := os.ReadFile("../../build/etcd/go.mod")
		require.NoError(t, err)
		_, version, _ := strings.Cut(s.Image, ":")
		require.Contains(t, string(module), "go.etcd.io/etcd/server/v3 "+version+"\n", "the version that the tests run")
	}
}

func TestTheImageHoldsBothProgramsAndNoShell(t *testing.T) {
	b, err := os.ReadFile("../../build/Dockerfile")
	require.NoError(t, err)
	text := string(b)
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(text, -1)
	require.Len(t, stages, 4)
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))[1]
	require.True(t, strings.HasPrefix(stages[0][1], "golang:"+goVersion), stages[0][1])
	parts := strings.Split(text, "\nFROM ")[2:]
	require.Contains(t, parts[0], "AS mep-agent\n", "the one that takes the place of EdgeGallery's agent")
	require.Contains(t, parts[0], "\nWORKDIR /usr/mep\n", "where its conf is mounted")
	require.Contains(t, parts[1], "AS edgegallery\n", "the one that takes the place of EdgeGallery's platform")
	for i, want := range [][2]string{{"mep-agent", "65532:65532"}, {"mepserver", "166:166"}, {"mepserver", "65532:65532"}} {
		require.Contains(t, parts[i], "distroless/static")
		require.Contains(t, parts[i], "\nUSER "+want[1]+"\n", "not root")
		require.Contains(t, parts[i], "ENTRYPOINT [\"/usr/local/bin/"+want[0]+"\"]\n")
	}
	for _, name := range []string{"mepserver", "mep-agent"} {
		require.Contains(t, text, "./cmd/"+name)
		require.DirExists(t, filepath.Join("../../cmd", name))
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY (?:--\S+ )*([a-z./ -]+?)/? \S+$`).FindAllStringSubmatch(strings.Split(text, stages[1][0])[0], -1) {
		for path := range strings.FieldsSeq(m[1]) {
			_, err := os.Stat(filepath.Join("../..", path))
			require.NoError(t, err, fmt.Sprint("COPY ", path))
		}
	}
	c := load(t)
	build := c.Services["mepserver-1"].Build
	_, err = os.Stat(filepath.Join("../../build", build.Context, build.Dockerfile))
	require.NoError(t, err)
}
