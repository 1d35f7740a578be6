package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"
)

func TestWhatWatchesIsPublishedOnLoopbackOnly(t *testing.T) {
	c := load(t)
	for name, port := range map[string]string{"prometheus": "9090", "grafana": "3000"} {
		require.Equal(t, []any{"127.0.0.1:" + port + ":" + port}, c.Services[name].Ports)
	}
	require.ElementsMatch(t, []string{"mec", "monitoring"}, c.Services["prometheus"].Networks)
	require.Equal(t, []string{"monitoring"}, c.Services["grafana"].Networks, "it reaches Prometheus and no replica")
	require.False(t, c.Networks["monitoring"].Internal, "ports of an internal network are not published")
}

// What Prometheus is told to read is what the other services put there: the rules, the replicas,
// and a credential with the role reader, which is all that it has of the platform.
func TestPrometheusIsAReaderOfEachReplica(t *testing.T) {
	c := load(t)
	text, err := os.ReadFile("../../build/monitoring/prometheus.yaml")
	require.NoError(t, err)
	type trust struct {
		CAFile string `yaml:"ca_file"`
	}
	var file struct {
		RuleFiles []string `yaml:"rule_files"`
		Jobs      []struct {
			Name   string `yaml:"job_name"`
			Scheme string
			TLS    trust `yaml:"tls_config"`
			OAuth2 struct {
				ID     string `yaml:"client_id"`
				Secret string `yaml:"client_secret_file"`
				URL    string `yaml:"token_url"`
				TLS    trust  `yaml:"tls_config"`
			}
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	job := file.Jobs[0]
	require.Equal(t, "mepserver", job.Name, "the name in alerts and dashboard")
	require.Equal(t, "https", job.Scheme)
	require.Equal(t, job.TLS, job.OAuth2.TLS)
	var replicas []string
	for _, name := range c.named("mepserver-") {
		replicas = append(replicas, name+":30100")
	}
	require.Equal(t, replicas, job.Static[0].Targets)
	require.Equal(t, "https://"+replicas[0]+"/oauth2/token", job.OAuth2.URL)

	p := c.Services["prometheus"]
	mounted := mountsOf(t, c, p)
	require.Subset(t, mounted, file.RuleFiles)
	require.Contains(t, p.Command, "--config.file="+mounted[slices.IndexFunc(mounted, func(m string) bool { return strings.HasSuffix(m, "/prometheus.yaml") })])
	require.Equal(t, []string{"reader:" + filepath.Dir(job.TLS.CAFile) + ":ro"}, p.Volumes)
	made := c.Services["reader"]
	require.Equal(t, []string{"app", "add", job.OAuth2.ID, "--role", "reader", "--if-missing"}, made.Command[:6])
	out := made.Command[slices.Index(made.Command, "--out")+1]
	require.Equal(t, filepath.Base(job.OAuth2.Secret), filepath.Base(out))
	require.Contains(t, made.Volumes, "reader:"+filepath.Dir(out))
	copied := c.Services["reader-ca"].Command[2]
	require.Equal(t, filepath.Base(job.TLS.CAFile), filepath.Base(copied))
	require.Equal(t, filepath.Dir(out), filepath.Dir(copied))
	require.Equal(t, c.Services["reader-ca"].User, p.User, "it may read what they wrote")
}

// mountsOf are the files that a service gets, each of which must be there.
func mountsOf(t *testing.T, c compose, s service) (targets []string) {
	t.Helper()
	for _, m := range s.Configs {
		source, ok := c.Configs[m.Source]
		require.True(t, ok, m.Source)
		require.FileExists(t, filepath.Join("../../build", source.File))
		targets = append(targets, m.Target)
	}
	return targets
}

func TestGrafanaShowsTheDashboardOfPrometheus(t *testing.T) {
	c := load(t)
	s := c.Services["grafana"]
	mounted := mountsOf(t, c, s)
	require.Contains(t, mounted, s.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
	require.Empty(t, s.Environment["GF_AUTH_ANONYMOUS_ORG_ROLE"], "a viewer")
	text, err := os.ReadFile("../../build/monitoring/grafana/datasource.yaml")
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`(?m)^ +url: http://prometheus:9090$`), string(text))
	text, err = os.ReadFile("../../build/monitoring/grafana/dashboards.yaml")
	require.NoError(t, err)
	folder := regexp.MustCompile(`path: ([^ }]+)`).FindStringSubmatch(string(text))
	require.Equal(t, folder[1], filepath.Dir(s.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]))
}
