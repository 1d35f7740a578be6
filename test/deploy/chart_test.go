package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

const chart = "../../build/helm"

// helm runs helm with folders of its own, and returns what it printed.
func helm(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	tier.Long(t, "test/deploy", "builds helm")
	home := t.TempDir()
	c := proc.Command{Program: built.Module(t, "build/release", "helm.sh/helm/v3/cmd/helm"), Args: args,
		Env: []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "none")}}
	code, p := c.Run(t, time.Minute)
	return code, p.Stdout.String(), p.Stderr.String()
}

// render is what the chart makes of these arguments, by kind.
func render(t *testing.T, args ...string) map[string]any {
	t.Helper()
	code, out, errs := helm(t, slices.Concat([]string{"template", "mepserver", chart}, args)...)
	require.Zero(t, code, "%v: %s", args, errs)
	return kinds(t, []byte(out))
}

// kinds are the objects of a manifest.
func kinds(t *testing.T, text []byte) map[string]any {
	t.Helper()
	all := map[string]any{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var one map[string]any
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		kind, named := one["kind"].(string)
		require.True(t, named, "%v", one)
		require.NotContains(t, all, kind)
		all[kind] = one
	}
}

func TestTheChartIsWhatTheManifestIs(t *testing.T) {
	code, out, _ := helm(t, "lint", "--strict", chart)
	require.Zero(t, code, "%s", out)
	manifest, err := os.ReadFile("../../build/kubernetes.yaml")
	require.NoError(t, err)
	require.Equal(t, kinds(t, manifest), render(t))
}

func TestTheChartOverAClusterKeepsNothingItself(t *testing.T) {
	set := render(t, "--set", "replicas=3", "--set", "etcdEndpoints={https://etcd-0.etcd:2379,https://etcd-1.etcd:2379}",
		"--set", "env.MEP_LIVENESS_MIN_INTERVAL=5s", "--set", "image.repository=registry.example.org/mepserver", "--set", "image.tag=v1.2.3")
	require.Contains(t, set, "PodDisruptionBudget")
	text, err := yaml.Marshal(set["StatefulSet"])
	require.NoError(t, err)
	var w workload
	require.NoError(t, decode(t, text, &w))
	require.Equal(t, 3, w.Spec.Replicas)
	require.Empty(t, w.Spec.Claims)
	c := w.Spec.Template.Spec.Containers[0]
	require.Len(t, c.VolumeMounts, 1)
	require.Equal(t, "registry.example.org/mepserver:v1.2.3", c.Image)
	got := load1(t, c.Args, c.Env)
	require.Equal(t, []string{"https://etcd-0.etcd:2379", "https://etcd-1.etcd:2379"}, got.Store.Endpoints)
	require.Equal(t, 5*time.Second, got.Liveness.MinInterval)
}

func TestTheChartLeavesThePolicyToTheCluster(t *testing.T) {
	require.NotContains(t, render(t, "--set", "clients=null"), "NetworkPolicy")
}

// A cluster without the Prometheus operator refuses its kinds, so that they come when they are asked
// for; and then Prometheus reads what the job of build/monitoring reads, with the alerts of that.
func TestTheChartIsWatchedWhereThatIsAskedFor(t *testing.T) {
	quiet := render(t)
	require.NotContains(t, quiet, "ServiceMonitor")
	require.NotContains(t, quiet, "PrometheusRule")
	set := render(t, "--namespace", "edge", "--set", "monitoring.serviceMonitor.enabled=true", "--set", "monitoring.serviceMonitor.secretName=r", "--set", "monitoring.prometheusRule.enabled=true",
		"--set", "monitoring.labels.release=prometheus")
	var m struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct {
			Selector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			}
			Endpoints []struct {
				Port, Path, Scheme, Interval string
				TLS                          map[string]any `yaml:"tlsConfig"`
				OAuth2                       struct {
					ID     map[string]map[string]string `yaml:"clientId"`
					Secret map[string]string            `yaml:"clientSecret"`
					URL    string                       `yaml:"tokenUrl"`
					TLS    map[string]any               `yaml:"tlsConfig"`
				}
				Relabelings []map[string]string
			}
		}
	}
	text, err := yaml.Marshal(set["ServiceMonitor"])
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &m))
	service, is := set["Service"].(map[string]any)
	require.True(t, is)
	require.Equal(t, map[string]any{"app": m.Spec.Selector.MatchLabels["app"]}, service["metadata"].(map[string]any)["labels"], "it selects the Service")
	require.Equal(t, map[string]string{"release": "prometheus"}, m.Metadata.Labels)
	e := m.Spec.Endpoints[0]
	require.Equal(t, []string{"https", "/metrics", "https"}, []string{e.Port, e.Path, e.Scheme})
	require.Equal(t, "https://mepserver.edge.svc:30100/oauth2/token", e.OAuth2.URL)
	require.Equal(t, map[string]string{"name": "r", "key": "id"}, e.OAuth2.ID["secret"])
	require.Equal(t, map[string]string{"name": "r", "key": "secret"}, e.OAuth2.Secret)
	require.Equal(t, e.TLS, e.OAuth2.TLS)
	require.Equal(t, "mepserver", e.TLS["serverName"])
	require.Equal(t, []map[string]string{{"targetLabel": "job", "replacement": "mepserver"}}, e.Relabelings, "the name in alerts and dashboard")

	alerts, err := os.ReadFile("../../build/monitoring/alerts.yaml")
	require.NoError(t, err)
	var want any
	require.NoError(t, yaml.Unmarshal(alerts, &want))
	rule, is := set["PrometheusRule"].(map[string]any)
	require.True(t, is)
	require.Equal(t, want, rule["spec"])
}

func TestTheChartRefusesWhatCannotRun(t *testing.T) {
	for why, args := range map[string][]string{
		"several replicas need an etcd cluster":        {"--set", "replicas=2"},
		"additional properties 'replica' not allowed":  {"--set", "replica=2"},
		"additional properties 'images' not allowed":   {"-f", chart + "/values-edgegallery.yaml"}, // it is for EdgeGallery's chart
		"'LIVENESS_MIN_INTERVAL' does not match":       {"--set", "env.LIVENESS_MIN_INTERVAL=5s"},
		"at '/storage/size': '10 GB' does not match":   {"--set", "storage.size=10 GB"},
		"at '/monitoring/serviceMonitor/interval': ":   {"--set", "monitoring.serviceMonitor.interval=soon"},
		"at '/etcdEndpoints/0': 'etcd:2379' does not ": {"--set", "etcdEndpoints={etcd:2379}"},
	} {
		code, _, errs := helm(t, slices.Concat([]string{"template", "mepserver", chart}, args)...)
		require.NotZero(t, code, why)
		require.Contains(t, errs, why)
	}
}

// What EdgeGallery's chart takes is two texts, and nothing else of it is touched.
func TestTheValuesForEdgeGallerysChartAreTheTwoThatAreSet(t *testing.T) {
	b, err := os.ReadFile(chart + "/values-edgegallery.yaml")
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(b, &values))
	require.Equal(t, map[string]any{"images": map[string]any{"mep": map[string]any{
		"repository": "registry.example.org/mepserver-edgegallery", "tag": "dev"}}}, values)
}
