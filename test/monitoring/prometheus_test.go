package monitoring

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// scraping is a running Prometheus.
type scraping struct {
	t   *testing.T
	url string
}

// ask returns the values of an instant query, by the value of a label.
func (s scraping) ask(expr, label string) map[string]string {
	s.t.Helper()
	res, err := http.Get(s.url + "/api/v1/query?query=" + url.QueryEscape(expr)) //nolint:noctx // on loopback
	if err != nil {
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	if res.StatusCode == http.StatusServiceUnavailable { // it begins
		return nil
	}
	var got struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(s.t, json.Unmarshal(b, &got), "%s", b)
	out := map[string]string{}
	for _, r := range got.Data.Result {
		out[r.Metric[label]] = fmt.Sprint(r.Value[1])
	}
	return out
}

// The configuration as it is shipped, but for addresses, paths and haste: Prometheus proves itself
// to a server with identities as a reader, sees its services, and sees that it is killed.
func TestPrometheusReadsTheServerAsAReaderAndSeesItDie(t *testing.T) {
	program := proc.Find(t, "prometheus")
	tier.Long(t, "test/monitoring", "runs Prometheus")
	s := mep.Secure(t, mep.Fast...)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(s.Add("prometheus", "reader").Secret), 0o600))
	rules := strings.NewReplacer("for: 1m\n", "for: 1s\n", "for: 30s\n", "for: 1s\n").Replace(read(t, rulesFile))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), []byte(rules), 0o600))
	shipped := read(t, "../../build/monitoring/prometheus.yaml")
	config := strings.NewReplacer("15s", "1s", "10s", "1s", "/etc/prometheus/alerts.yaml", "alerts.yaml", "/etc/mepserver-reader/secret", filepath.Join(dir, "secret"),
		"/etc/mepserver-reader/ca.pem", s.CA.File, "https://mepserver-1:30100", s.URL, `"mepserver-1:30100", "mepserver-2:30100", "mepserver-3:30100"`, fmt.Sprintf("%q", s.Listen)).Replace(shipped)
	require.Equal(t, 1, strings.Count(config, s.Listen+`"`), config)
	file, listen := filepath.Join(dir, "prometheus.yaml"), proc.Free(t)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	p := proc.Command{Program: program, Args: []string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + listen}}.Start(t)
	seen := scraping{t, "http://" + listen}
	defer func() {
		if t.Failed() {
			t.Logf("%s", p.Stderr)
		}
	}()

	wait.Until(t, "the server is scraped", func() bool { return seen.ask(`up{job="mepserver"}`, "instance")[s.Listen] == "1" })
	s.As(s.Add("app")).Register("app", "service", 1)
	wait.Until(t, "its silence is seen", func() bool { return seen.ask("mep_services_suspended", "instance")[s.Listen] == "1" })
	firing := func() map[string]string {
		return seen.ask(`ALERTS{alertstate="firing",alertname!~"MepCertificateEnds.*"}`, "alertname") // those of a test end soon
	}
	require.Empty(t, firing(), "one service is no alert")
	s.Kill()
	wait.Until(t, "an alert says that it is down", func() bool { return firing()["MepServerDown"] == "1" })
}
