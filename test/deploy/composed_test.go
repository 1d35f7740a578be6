package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/provision"
	"github.com/mec-liveness/mepserver/conf"
)

// platform makes the files that mepserver init makes for these arguments, in a directory of
// the test, and returns it.
func platform(t *testing.T, args []string) (p *provision.Platform, flags map[string][]string) {
	t.Helper()
	require.Equal(t, "init", args[0])
	flags = map[string][]string{}
	for i := 1; i < len(args); i++ {
		name := strings.TrimPrefix(args[i], "--")
		if name == "if-missing" {
			flags[name] = []string{"true"}
			continue
		}
		i++
		flags[name] = append(flags[name], args[i])
	}
	o := provision.Options{Dir: filepath.Join(t.TempDir(), "mep"), Hosts: flags["host"], Now: time.Now()}
	if all := flags["etcd-endpoints"]; all != nil {
		o.Endpoints = strings.Split(all[0], ",")
	}
	p, err := provision.Create(o)
	require.NoError(t, err)
	return p, flags
}

// certified says that clients which use a host trust the server's certificate.
func certified(t *testing.T, p *provision.Platform, host string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Path("server.pem"), p.Path("server.key"))
	require.NoError(t, err)
	ca, err := os.ReadFile(p.Path(provision.Authority))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool})
	require.NoError(t, err)
}

// What the file gives mepserver and the agent is what they take, and what one service makes is
// where the next one looks for it.
func TestTheComposedSettingsAreValid(t *testing.T) {
	c := load(t)
	var endpoints, servers []string
	for _, name := range c.named("etcd-") {
		endpoints = append(endpoints, "http://"+name+":2379")
	}
	p, flags := platform(t, c.Services["init"].Command)
	dir := flags["dir"][0]
	require.Equal(t, []string{"true"}, flags["if-missing"], "the second start finds the files")
	for i, name := range c.named("mepserver-") {
		servers = append(servers, "https://"+name+":30100")
		certified(t, p, name)
		s := c.Services[name]
		require.Equal(t, []string{"--config", dir + "/mepserver.yaml"}, s.Command)
		sources := conf.Sources{File: p.Path(provision.Configuration)}
		for k, v := range s.Environment {
			sources.Environ = append(sources.Environ, k+"="+v)
		}
		got, err := conf.Load(sources)
		require.NoError(t, err)
		require.Equal(t, conf.Etcd, got.Store.Kind)
		require.Equal(t, endpoints, got.Store.Endpoints)
		require.True(t, got.Server.TLS.On() && got.Identity.On() && !got.Server.Insecure && !got.Server.Loopback())
		require.Equal(t, name+":30100", got.Server.Advertise)
		require.Equal(t, i == 0, got.AdminSocket() == p.Path("admin.sock"), "%s: one socket in one folder", name)
		require.Equal(t, []string{"platform:/data"}, s.Volumes)
	}
	agent, err := conf.LoadAgent(conf.Sources{File: "agent.yaml", Data: []byte(c.Configs["agent"].Content)})
	require.NoError(t, err)
	require.Equal(t, servers, agent.Platform.Endpoints)
	require.Equal(t, servers[0]+"/oauth2/token", agent.Identity.TokenURL)
	s := c.Services["agent"]
	require.Equal(t, []string{"/usr/local/bin/mep-agent", "--config", s.Configs[0].Target}, s.Entrypoint)
	require.Equal(t, "agent", s.Configs[0].Source)
	require.Equal(t, []string{"CMD", "/usr/local/bin/mep-agent", "status", "--ready", agent.Local.Listen}, s.Healthcheck.Test)

	config := []string{"--config", dir + "/mepserver.yaml"}
	require.Equal(t, append([]string{"CMD", "/usr/local/bin/mepserver", "app", "list"}, config...), c.Services["mepserver-1"].Healthcheck.Test)
	made := c.Services["credential"].Command
	require.Equal(t, slices.Concat([]string{"app", "add", agent.Application.ID, "--if-missing"}, config, []string{"--out", agent.Identity.ClientSecretFile}), made)
	require.Equal(t, agent.Application.ID, agent.Identity.ClientID)
	require.Equal(t, []string{"cp", dir + "/ca.pem", agent.Platform.CAFile}, c.Services["ca"].Command)
	require.Equal(t, "65532:65532", c.Services["ca"].User, "the owner of the files")
	require.Equal(t, []string{"agent:/var/lib/mep-agent:ro"}, s.Volumes, "and nothing of the platform's")
	require.Contains(t, c.Services["init"].Volumes, "agent:/var/lib/mep-agent", "which then has the owner that the image says")
	docker, err := os.ReadFile("../../build/Dockerfile")
	require.NoError(t, err)
	for _, at := range []string{"/data", "/var/lib/mep-agent"} {
		require.Contains(t, string(docker), "--chown=65532:65532 /out/data "+at+"\n")
	}
}
