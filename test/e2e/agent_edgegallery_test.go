package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/edgegallery"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// originalAgent starts our agent in a folder and an environment that were made for
// EdgeGallery's. Only where the platform is has to be said otherwise: over HTTP its port is
// always 8000.
func originalAgent(t *testing.T, platform, app, services string, env ...string) *agent {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "conf"), 0o700))
	writeInstanceInfo(t, dir, services)
	return startAgentIn(t, dir, nil, append(env, "APPINSTID="+app, "MEP_IP=127.0.0.1", "MEP_APIGW_PORT=8443", "EG_PROTOCOL=http",
		"CA_CERT=/usr/mep/ssl/ca.crt", "CA_CERT_DOMAIN_NAME=edgegallery", "ENABLE_WAIT=true",
		"MEP_PLATFORM_ENDPOINTS="+platform, "MEP_LOCAL_LISTEN=127.0.0.1:0")...)
}

func writeInstanceInfo(t *testing.T, dir, services string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "conf", "app_instance_info.yaml"), []byte(services), 0o600))
}

// TestAgentAtTheOriginalPlatform takes the agent through a life at EdgeGallery's platform,
// which knows heartbeats by PUT only, shows its gateway's URLs, and doubles whatever is
// registered twice.
func TestAgentAtTheOriginalPlatform(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for heartbeats over several intervals")
	t.Parallel()
	p := edgegallery.Start(t, edgegallery.Options{AccessKey: accessKey, SecretKey: secretKey, App: appID, Interval: 4, Late: 2 * time.Second})
	text := edgegallery.Configurations()["merges"]
	a := originalAgent(t, p.URL, appID, text, "AK="+accessKey, "SK="+secretKey)
	wait.Until(t, "three services are there", func() bool { return len(p.Services()) == 3 && a.ready() })
	ids := func() (all []string) {
		for _, s := range p.Services() {
			all = append(all, s.Name+" "+s.ID)
		}
		return all
	}
	before := ids()
	alive := func(from time.Duration) {
		t.Helper()
		for end := time.Now().Add(from); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, s := range p.Services() {
				require.Equal(t, "ACTIVE", s.State, s.Name)
			}
		}
	}
	alive(14 * time.Second)
	for _, s := range p.Services() {
		if s.Interval > 0 {
			require.GreaterOrEqual(t, s.Beats, 3, s.Name)
		}
	}
	require.LessOrEqual(t, p.Count("PATCH", "/liveness"), 2, "one try tells that there is only PUT")

	status, body := a.get("/mep-agent/v1/token")
	require.Equal(t, 200, status)
	require.Regexp(t, `^{"access_token":"token-1","token_type":"Bearer","expires_in":3\d{3}}\n$`, body)
	status, body = a.get("/mep-agent/v1/endpoint/right")
	require.Equal(t, 200, status)
	require.Regexp(t, `^{"uris":\["http://mep-api-gw\.mep:8000/right[0-9a-f]{20}",".*"\],"addresses":null,"alternative":null}\n$`, body)
	status, body = a.get("/mep-agent/v1/endpoint/nobody")
	require.Equal(t, 400, status)
	require.Equal(t, "\"Service does not exist.\"\n", body)

	a.Kill()
	a.restart()
	wait.Until(t, "it is ready again", a.ready)
	require.Equal(t, before, ids(), "found again, whatever addresses the platform shows")
	alive(5 * time.Second)
	updates := func() (n int) {
		for _, s := range p.Services() {
			n += p.Count("PUT", "/services/"+s.ID)
		}
		return n
	}
	require.Zero(t, updates(), "nothing has changed")
	require.NotContains(t, a.Stderr.String(), secretKey)

	a.Kill()
	writeInstanceInfo(t, a.command.Dir, strings.Replace(text, "serializer: JSON", "serializer: XML", 1))
	a.restart()
	wait.Until(t, "what has changed in the configuration is sent", func() bool { return updates() == 2 && a.ready() })
	require.Equal(t, before, ids())
	alive(3 * time.Second)
	require.Equal(t, 2, updates())

	p.Lose()
	wait.Until(t, "what sends heartbeats is registered again at a platform that has lost its store", func() bool { return len(p.Services()) == 2 && a.ready() })
	p.RevokeTokens()
	wait.Until(t, "a new token was fetched", func() bool { return p.Count("POST", "/token") >= 3 })
	alive(5 * time.Second)
	a.end()
	require.Empty(t, p.Services(), "it takes its services away when it stops")
}

// Each form of a configuration that EdgeGallery's agent takes registers the same services
// at its platform, at ours under compat, and at ours.
func TestEveryFormOfEdgeGallerysConfigurationRuns(t *testing.T) {
	tier.Long(t, "test/e2e", "starts an agent for each form and platform")
	t.Parallel()
	original := edgegallery.Start(t, edgegallery.Options{})
	compat, ours := mep.Start(t, "MEP_COMPAT=edgegallery"), mep.Start(t)
	at := func(s *mep.Server) func(string) int {
		return func(app string) int { return len(s.Want(200, "GET", mep.ServicesOf(app), "").List(t)) }
	}
	atOriginal := func(app string) (n int) {
		for _, s := range original.Services() {
			if s.App == app {
				n++
			}
		}
		return n
	}
	services := map[string]int{"sample": 1, "template": 2, "template-empty": 0, "no-list": 0, "nothing": 0, "no-transport": 2, "zero-values": 2,
		"yaml-1-1": 2, "merges": 3, "first-releases": 1, "links": 1}
	n := 0
	for name, text := range edgegallery.Configurations() {
		require.Contains(t, services, name)
		for _, platform := range []struct {
			name, url  string
			registered func(app string) int
		}{{"EdgeGallery's", original.URL, atOriginal}, {"ours under compat", compat.URL, at(compat)}, {"ours", ours.URL, at(ours)}} {
			n++
			app := fmt.Sprintf("5abe4782-2c70-4e47-9a4e-0ee3a1a0f%03d", n)
			a := originalAgent(t, platform.url, app, text)
			wait.Until(t, name+" is registered at "+platform.name, func() bool { return platform.registered(app) == services[name] && a.ready() })
			require.NotContains(t, a.Stderr.String(), "could not be", "%s at %s", name, platform.name)
			a.end()
			require.Zero(t, platform.registered(app), "%s at %s", name, platform.name)
		}
	}
}
