// Package monitoring compares what build/monitoring watches, and what docs/metrics.md says, with
// /metrics of mepserver and mep-agent as they are built. It knows the form of /metrics and files of
// Prometheus's; it must not know what the metrics mean.
package monitoring

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/tls"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/kong"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/mepauth"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

// family is a metric as /metrics shows it.
type family struct {
	name, typ, help string
	labels          map[string]map[string]bool // the values of each
}

// families are metrics by their names.
type families map[string]*family

var (
	header = regexp.MustCompile(`^# (HELP|TYPE) (\S+) (.*)$`)
	series = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// add reads a page of /metrics.
func (all families) add(t testing.TB, page []byte) {
	t.Helper()
	for line := range bytes.Lines(page) {
		text := strings.TrimSuffix(string(line), "\n")
		if m := header.FindStringSubmatch(text); m != nil {
			f := all[m[2]]
			if f == nil {
				f = &family{name: m[2], labels: map[string]map[string]bool{}}
				all[m[2]] = f
			}
			if m[1] == "HELP" {
				f.help = m[3]
			} else {
				f.typ = m[3]
			}
			continue
		}
		m := series.FindStringSubmatch(text)
		require.NotNil(t, m, "no line of /metrics: %q", text)
		f := all.of(m[1])
		require.NotNil(t, f, "a series without a type: %q", text)
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if f.labels[l[1]] == nil {
				f.labels[l[1]] = map[string]bool{}
			}
			f.labels[l[1]][l[2]] = true
		}
	}
}

// of is the family of a series: those of a histogram and a summary have three names.
func (all families) of(name string) *family {
	if f := all[name]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, is := strings.CutSuffix(name, suffix); is && all[base] != nil {
			return all[base]
		}
	}
	return nil
}

func (all families) names() []string { return slices.Sorted(maps.Keys(all)) }

// gather is what mepserver shows, with everything on that has metrics, and what mep-agent does.
func gather(t *testing.T) (server, agent families) {
	t.Helper()
	server, agent = families{}, families{}
	pages := make(chan [2][]byte, 3)
	for _, of := range []func(*testing.T) (server, agent []byte){withIdentities, withEdgeGallery, withAnAgent} {
		go func() {
			var page [2][]byte
			defer func() { pages <- page }()
			page[0], page[1] = of(t)
		}()
	}
	for range 3 {
		page := <-pages
		require.NotEmpty(t, page[0], "a server showed no metrics")
		server.add(t, page[0])
		agent.add(t, page[1])
	}
	return server, agent
}

// metricsOf waits until service-center has measured its process for the first time, which a
// server may be ready before.
func metricsOf(t *testing.T, s *mep.Server) (page []byte) {
	t.Helper()
	wait.Until(t, "service-center has measured its process", func() bool {
		page = s.Want(http.StatusOK, http.MethodGet, "/metrics", "").Body
		return bytes.Contains(page, []byte("\nservice_center_process_cpu_usage"))
	})
	return page
}

// withIdentities has an issuer of its own, another one with keys, an audit log, and a certificate
// for consumers.
func withIdentities(t *testing.T) (page, _ []byte) {
	ca, key := pki.New(t), pki.NewTokenKey(t, "a")
	keys := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(pki.JWKS(t, key)) }))
	keys.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Server("127.0.0.1").TLS}}
	keys.StartTLS()
	t.Cleanup(keys.Close)
	client := ca.Client("mepserver")
	s := mep.Secure(t, "MEP_AUDIT_FILE="+filepath.Join(t.TempDir(), "audit.log"), "MEP_NOTIFY_CERT_FILE="+client.CertFile, "MEP_NOTIFY_KEY_FILE="+client.KeyFile,
		"MEP_IDENTITY_JWT_JWKS_URL="+keys.URL, "MEP_IDENTITY_JWT_CA_FILE="+ca.File, "MEP_IDENTITY_JWT_ISSUER=https://issuer.example", "MEP_IDENTITY_JWT_AUDIENCE=mec")
	return metricsOf(t, s.As(s.Add("prometheus", "reader"))), nil
}

// withEdgeGallery has its gateway and its mepauth.
func withEdgeGallery(t *testing.T) (page, _ []byte) {
	ca := pki.New(t)
	certificate := ca.Legacy("edgegallery").TLS
	auth := mepauth.Start(t, certificate)
	gateway := kong.Start(t, kong.Options{Certificate: &certificate, Claims: auth.Claims})
	return metricsOf(t, mep.Start(t, "MEP_COMPAT=edgegallery", "MEP_EDGEGALLERY_GATEWAY_ADMIN="+gateway.AdminURL, "MEP_EDGEGALLERY_GATEWAY_PUBLIC="+gateway.URL,
		"MEP_EDGEGALLERY_MEPAUTH="+auth.URL, "MEP_EDGEGALLERY_CA_FILE="+ca.File, "MEP_EDGEGALLERY_COMMON_NAME=edgegallery")), nil
}

const ofAgent = `
platform: {endpoints: [%q]}
application: {id: demo-app}
local: {listen: %q}
services:
  - {serName: demo, version: "1.0.0", state: ACTIVE, serializer: JSON, livenessInterval: 1, transportId: rest-http}
`

// withAnAgent has a service that is kept alive.
func withAnAgent(t *testing.T) (page, agents []byte) {
	s := mep.Start(t, mep.Fast...)
	file, listen := filepath.Join(t.TempDir(), "agent.yaml"), proc.Free(t)
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, ofAgent, s.URL, listen), 0o600))
	a := proc.Command{Program: mep.AgentBinary(t), Args: []string{"--config", file}}.Start(t)
	require.Contains(t, a.FirstLine(time.Minute), "status on ", "%s", a.Stderr)
	wait.Until(t, "a heartbeat was answered", func() bool {
		page = metricsOf(t, s)
		return bytes.Contains(page, []byte(`service_center_http_request_total{api="mp1.PatchLiveness"`))
	})
	res, err := http.Get("http://" + listen + "/metrics") //nolint:noctx // it is there
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	require.NoError(t, err)
	return page, b.Bytes()
}
