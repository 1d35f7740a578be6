package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/proc"
)

// unitFile reads a unit into the values of each key.
func unitFile(t *testing.T, name string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../build/" + name)
	require.NoError(t, err)
	keys, section := map[string][]string{}, ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch key, value, is := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			require.True(t, is, line)
			keys[section+"."+key] = append(keys[section+"."+key], value)
		}
	}
	return keys
}

func TestTheUnitStartsTheServerWithSettingsThatItTakes(t *testing.T) {
	u := unitFile(t, "mepserver.service")
	require.Equal(t, []string{"/usr/local/bin/mepserver --config /etc/mepserver/mepserver.yaml"}, u["Service.ExecStart"])
	require.Empty(t, u["Service.Environment"], "everything stands in the file")
	require.Equal(t, []string{"mepserver"}, u["Service.StateDirectory"])
	require.Equal(t, []string{"15"}, u["Service.TimeoutStopSec"], "longer than the ten seconds of a stop")
	require.Equal(t, []string{"mepserver"}, u["Service.User"], "not root, and the owner of the keys")
	guide, err := os.ReadFile("../../docs/operators.md")
	require.NoError(t, err)
	for _, line := range []string{"useradd --system --home-dir /var/lib/mepserver --shell /usr/sbin/nologin mepserver",
		"install -d -o mepserver -g mepserver -m 700 /etc/mepserver /var/lib/mepserver",
		"-u mepserver mepserver init --host mep.example.org --dir /etc/mepserver --data-dir /var/lib/mepserver"} {
		require.Contains(t, string(guide), "\nsudo "+line+"\n")
	}
	require.Equal(t, []string{"-/etc/default/mepserver"}, u["Service.EnvironmentFile"])
}

func TestTheAgentsUnitStartsItWithSettingsThatItTakes(t *testing.T) {
	u := unitFile(t, "mep-agent@.service")
	require.Equal(t, []string{"/usr/local/bin/mep-agent --config /etc/mep-agent/%i.yaml"}, u["Service.ExecStart"])
	got, err := conf.LoadAgent(conf.Sources{File: "../../conf/mep-agent.yaml", Environ: u["Service.Environment"]})
	require.NoError(t, err)
	require.Equal(t, "/var/lib/"+u["Service.StateDirectory"][0]+"/state", got.Application.StateFile, "in the folder that systemd makes")
	require.Equal(t, []string{"15"}, u["Service.TimeoutStopSec"], "longer than the ten seconds of a stop")
	require.Equal(t, []string{"yes"}, u["Service.DynamicUser"], "not root")
	require.Contains(t, u["Service.RestrictAddressFamilies"][0], "AF_UNIX", "the agent's place is the name of such a socket")
	// systemd stops in the reverse order: the agent deregisters before the application ends
	require.Contains(t, u["Unit.After"][0], "%i.service")
	require.Equal(t, []string{"%i.service"}, u["Unit.PartOf"])
	require.Contains(t, u["Install.WantedBy"][0], "%i.service", "it is started with the application")
}

func TestSystemdTakesTheUnits(t *testing.T) {
	analyze := proc.Find(t, "systemd-analyze")
	program := regexp.MustCompile(`/usr/local/bin/mep\S+`)
	for name, instance := range map[string]string{"mepserver.service": "mepserver.service", "mep-agent@.service": "mep-agent@my-app.service"} {
		b, err := os.ReadFile("../../build/" + name)
		require.NoError(t, err)
		verify := func(text string) string {
			file := filepath.Join(t.TempDir(), instance)
			require.NoError(t, os.WriteFile(file, []byte(program.ReplaceAllString(text, "/bin/true")), 0o600))
			_, p := proc.Command{Program: analyze, Args: []string{"verify", file}}.Run(t, time.Minute)
			return p.Both.String()
		}
		require.NotContains(t, verify(string(b)), instance+":")
		require.Contains(t, verify(strings.Replace(string(b), "Restart=", "Restrat=", 1)), instance+":", "it finds mistakes")
	}
}

// What the manifest may have. A key that is not here is a mistake, or needs a line here.
type (
	metadata struct {
		Name   string
		Labels map[string]string
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	port struct {
		Name, Protocol string
		Port           int
		TargetPort     string `yaml:"targetPort"`
		ContainerPort  int    `yaml:"containerPort"`
	}
	exec     struct{ Command []string }
	variable struct{ Name, Value string }
	probe    struct {
		HTTPGet          struct{ Path, Port, Scheme string } `yaml:"httpGet"`
		Exec             exec
		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
	container struct {
		Name, Image   string
		PullPolicy    string `yaml:"imagePullPolicy"`
		Command, Args []string
		Env           []variable
		RestartPolicy string `yaml:"restartPolicy"`
		Lifecycle     struct {
			PreStop struct {
				Exec  exec
				Sleep struct{ Seconds int }
			} `yaml:"preStop"`
		}
		Ports           []port
		LivenessProbe   probe `yaml:"livenessProbe"`
		ReadinessProbe  probe `yaml:"readinessProbe"`
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	podSpec struct {
		Grace           int   `yaml:"terminationGracePeriodSeconds"`
		ServiceLinks    *bool `yaml:"enableServiceLinks"`
		AccountToken    *bool `yaml:"automountServiceAccountToken"`
		SecurityContext struct {
			RunAsNonRoot bool                  `yaml:"runAsNonRoot"`
			RunAsUser    int                   `yaml:"runAsUser"`
			RunAsGroup   int                   `yaml:"runAsGroup"`
			FSGroup      int                   `yaml:"fsGroup"`
			Seccomp      struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		InitContainers []container `yaml:"initContainers"`
		Containers     []container
		Volumes        []struct {
			Name      string
			ConfigMap struct{ Name string } `yaml:"configMap"`
			Secret    struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			}
		}
	}
	claim struct {
		Metadata metadata
		Spec     struct {
			AccessModes []string `yaml:"accessModes"`
			Resources   struct{ Requests map[string]string }
		}
	}
	head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   metadata
	}
	workload struct {
		head `yaml:",inline"`
		Spec struct {
			ServiceName string `yaml:"serviceName"`
			Replicas    int
			Selector    selector
			Strategy    struct {
				Type          string
				RollingUpdate struct {
					MaxUnavailable int `yaml:"maxUnavailable"`
					MaxSurge       int `yaml:"maxSurge"`
				} `yaml:"rollingUpdate"`
			}
			Template struct {
				Metadata metadata
				Spec     podSpec
			}
			Claims []claim `yaml:"volumeClaimTemplates"`
		}
	}
	clusterService struct {
		head `yaml:",inline"`
		Spec struct {
			Selector map[string]string
			Ports    []port
		}
	}
	policy struct {
		head `yaml:",inline"`
		Spec struct {
			PodSelector selector `yaml:"podSelector"`
			PolicyTypes []string `yaml:"policyTypes"`
			Ingress     []struct {
				From []struct {
					PodSelector selector `yaml:"podSelector"`
				}
				Ports []port
			}
		}
	}
)

// decode reads the parts of a manifest, each strictly into its own type.
func decode(t *testing.T, text []byte, parts ...any) (err error) {
	t.Helper()
	texts := bytes.Split(text, []byte("\n---\n"))
	require.Len(t, texts, len(parts))
	for i, into := range parts {
		d := yaml.NewDecoder(bytes.NewReader(texts[i]))
		d.KnownFields(true)
		if err = errors.Join(err, d.Decode(into)); errors.Is(err, io.EOF) {
			break
		}
	}
	return err
}

// objects are the parts of the server's manifest.
func objects(t *testing.T, text []byte) (s clusterService, w workload, p policy, err error) {
	t.Helper()
	err = decode(t, text, &s, &w, &p)
	return s, w, p, err
}

func TestTheManifestRunsTheImageAsItIsBuilt(t *testing.T) {
	b, err := os.ReadFile("../../build/kubernetes.yaml")
	require.NoError(t, err)
	_, _, _, err = objects(t, bytes.Replace(b, []byte("livenessProbe"), []byte("livenesProbe"), 1))
	require.ErrorContains(t, err, "livenesProbe", "it finds mistakes")
	s, w, p, err := objects(t, b)
	require.NoError(t, err)
	require.Equal(t, []string{"v1 Service", "apps/v1 StatefulSet", "networking.k8s.io/v1 NetworkPolicy"},
		[]string{s.APIVersion + " " + s.Kind, w.APIVersion + " " + w.Kind, p.APIVersion + " " + p.Kind})

	docker, err := os.ReadFile("../../build/Dockerfile")
	require.NoError(t, err)
	pod := w.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	c := pod.Containers[0]
	require.Contains(t, string(docker), "-t "+c.Image+" .\n")
	require.Equal(t, []int{65532, 65532, 65532}, []int{pod.SecurityContext.RunAsUser, pod.SecurityContext.RunAsGroup, pod.SecurityContext.FSGroup})
	require.Contains(t, string(docker), "\nUSER 65532:65532\n")
	require.Regexp(t, regexp.MustCompile(`(?m)^EXPOSE 30100$`), string(docker))
	require.True(t, c.SecurityContext.ReadOnlyRootFilesystem && !*c.SecurityContext.AllowPrivilegeEscalation && pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop)
	require.Equal(t, 15, pod.Grace, "longer than the ten seconds of a stop")

	got := load1(t, c.Args, c.Env)
	require.Equal(t, "0.0.0.0:30100", got.Server.Listen)
	require.True(t, got.Server.TLS.On() && got.Identity.Issuer.Enabled && !got.Server.Insecure)
	keys := pod.Volumes[0]
	require.Equal(t, c.VolumeMounts[1].Name, keys.Name)
	require.Equal(t, "mepserver", keys.Secret.SecretName)
	require.True(t, c.VolumeMounts[1].ReadOnly)
	require.Equal(t, 0o440, keys.Secret.DefaultMode, "the group is the pod's")
	guide, err := os.ReadFile("../../docs/operators.md")
	require.NoError(t, err)
	for _, path := range []string{got.Server.TLS.CertFile, got.Server.TLS.KeyFile, got.Identity.Issuer.KeyFile, got.Notify.SigningKeyFile} {
		name, in := strings.CutPrefix(path, c.VolumeMounts[1].MountPath+"/")
		require.True(t, in, path)
		require.Contains(t, string(guide), " --from-file=mep/"+name, "it is put into the Secret")
	}
	require.NotContains(t, string(guide), "--from-file=mep/ca.key")
	require.Contains(t, string(guide), "init --host "+s.Metadata.Name+" ")
	require.Equal(t, s.Metadata.Name+":30100", got.Server.Advertise)
	require.Equal(t, 30100, c.Ports[0].ContainerPort)
	require.Equal(t, port{Name: "https", Port: 30100, TargetPort: c.Ports[0].Name}, s.Spec.Ports[0])
	require.True(t, strings.HasPrefix(got.Store.DataDir, c.VolumeMounts[0].MountPath+"/"))
	require.Equal(t, c.VolumeMounts[0].Name, w.Spec.Claims[0].Metadata.Name)
	require.Equal(t, struct{ Path, Port, Scheme string }{"/health", "https", "HTTPS"}, c.LivenessProbe.HTTPGet)
	require.Equal(t, struct{ Path, Port, Scheme string }{"/ready", "https", "HTTPS"}, c.ReadinessProbe.HTTPGet)
	require.Equal(t, 1, w.Spec.Replicas, "an embedded store has one server")

	labels := w.Spec.Template.Metadata.Labels
	for _, chosen := range []map[string]string{s.Spec.Selector, w.Spec.Selector.MatchLabels, p.Spec.PodSelector.MatchLabels} {
		require.Equal(t, labels, chosen)
	}
	require.Equal(t, s.Metadata.Name, w.Spec.ServiceName)
	require.Equal(t, []port{{Protocol: "TCP", Port: 30100}}, p.Spec.Ingress[0].Ports)
	require.NotEmpty(t, p.Spec.Ingress[0].From[0].PodSelector.MatchLabels, "not everybody")
}

// load1 reads the flags of the program as it does.
func load1(t *testing.T, args []string, env []variable) conf.Config {
	t.Helper()
	flags := map[string]string{}
	for i := 0; i < len(args); i++ {
		name := strings.TrimPrefix(args[i], "--")
		if flags[name] = "true"; !slices.Contains([]string{"insecure"}, name) {
			i++
			flags[name] = args[i]
		}
	}
	sources := conf.Sources{Flags: flags}
	for _, v := range env {
		sources.Environ = append(sources.Environ, v.Name+"="+v.Value)
		_, err := conf.Load(conf.Sources{Environ: []string{v.Name + "=\x00"}})
		require.ErrorContains(t, err, v.Name, "it is a setting")
	}
	got, err := conf.Load(sources)
	require.NoError(t, err)
	return got
}
