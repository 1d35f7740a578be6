package deploy

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

type configMap struct {
	head `yaml:",inline"`
	Data map[string]string
}

// sidecar is the manifest of an application with an agent.
type sidecar struct {
	config  configMap
	service clusterService
	app     workload
}

func loadSidecar(t *testing.T) (s sidecar) {
	t.Helper()
	b, err := os.ReadFile("../../build/kubernetes-agent.yaml")
	require.NoError(t, err)
	require.NoError(t, decode(t, b, &s.config, &s.service, &s.app))
	require.Equal(t, []string{"v1 ConfigMap", "v1 Service", "apps/v1 Deployment"}, []string{s.config.APIVersion + " " + s.config.Kind,
		s.service.APIVersion + " " + s.service.Kind, s.app.APIVersion + " " + s.app.Kind})
	return s
}

// settings are what the agent of the manifest is started with.
func (s sidecar) settings(t *testing.T) conf.Agent {
	t.Helper()
	c, err := conf.LoadAgent(conf.Sources{File: "mep-agent.yaml", Data: []byte(s.config.Data["mep-agent.yaml"])})
	require.NoError(t, err)
	return c
}

const agentProgram = "/usr/local/bin/mep-agent"

func TestTheSidecarIsAskedAsItAnswers(t *testing.T) {
	s := loadSidecar(t)
	settings, pod := s.settings(t), s.app.Spec.Template.Spec
	require.Len(t, pod.InitContainers, 1)
	a := pod.InitContainers[0]
	require.Equal(t, "Always", a.RestartPolicy, "else the pod waits for its end")
	require.Equal(t, []string{agentProgram, "--config", a.VolumeMounts[0].MountPath + "/mep-agent.yaml"}, a.Command, "it is process 1, which stop ends")
	require.Equal(t, []string{agentProgram, "status", settings.Local.Listen}, a.LivenessProbe.Exec.Command)
	require.Equal(t, []string{agentProgram, "status", "--registered", settings.Local.Listen}, a.ReadinessProbe.Exec.Command)
	require.Equal(t, []string{agentProgram, "stop"}, a.Lifecycle.PreStop.Exec.Command)
	require.GreaterOrEqual(t, a.LivenessProbe.TimeoutSeconds, 5, "status waits so long")
	require.Equal(t, pod.Volumes[0].Name, a.VolumeMounts[0].Name)
	require.Equal(t, s.config.Metadata.Name, pod.Volumes[0].ConfigMap.Name)
	require.True(t, a.SecurityContext.ReadOnlyRootFilesystem && !*a.SecurityContext.AllowPrivilegeEscalation && pod.SecurityContext.RunAsNonRoot)
	require.Empty(t, settings.Application.StateFile, "the file system of the container is read-only")

	require.Len(t, pod.Containers, 1)
	const agentStop = 10
	sleep := pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds
	require.Positive(t, sleep, "it serves on while consumers are told")
	require.Greater(t, pod.Grace, sleep+agentStop)
	require.Equal(t, "RollingUpdate", s.app.Spec.Strategy.Type)
	require.Zero(t, s.app.Spec.Strategy.RollingUpdate.MaxUnavailable)
}

func TestTheSidecarReachesThePlatformOfTheOtherManifest(t *testing.T) {
	s := loadSidecar(t)
	b, err := os.ReadFile("../../build/kubernetes.yaml")
	require.NoError(t, err)
	platform, server, policy, err := objects(t, b)
	require.NoError(t, err)
	settings, pod := s.settings(t), s.app.Spec.Template
	require.Equal(t, []string{"https://" + platform.Metadata.Name + ":30100"}, settings.Platform.Endpoints)
	require.Equal(t, settings.Platform.Endpoints[0]+"/oauth2/token", settings.Identity.TokenURL)
	require.Equal(t, settings.Application.ID, settings.Identity.ClientID)
	guide, err := os.ReadFile("../../docs/operators.md")
	require.NoError(t, err)
	mounts := pod.Spec.InitContainers[0].VolumeMounts
	require.Equal(t, []string{mounts[1].MountPath + "/ca.pem", mounts[2].MountPath + "/client-secret"}, []string{settings.Platform.CAFile, settings.Identity.ClientSecretFile})
	ca, credential := pod.Spec.Volumes[1], pod.Spec.Volumes[2]
	require.Equal(t, []string{mounts[1].Name, mounts[2].Name}, []string{ca.Name, credential.Name})
	require.Contains(t, string(guide), "kubectl create configmap "+ca.ConfigMap.Name+" --from-file=mep/ca.pem\n")
	require.Contains(t, string(guide), "kubectl create secret generic "+credential.Secret.SecretName+" --from-file=client-secret=/dev/stdin\n")
	for _, m := range mounts[1:] {
		require.False(t, strings.HasPrefix(m.MountPath, mounts[0].MountPath+"/"), "a ConfigMap has no room for folders of others")
	}
	require.Equal(t, 30100, platform.Spec.Ports[0].Port)
	for name, value := range policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels {
		require.Equal(t, value, pod.Metadata.Labels[name], "the policy lets it in")
	}
	require.Equal(t, server.Spec.Template.Spec.Containers[0].Image, pod.Spec.InitContainers[0].Image)

	var info mp1.ServiceInfo
	require.NoError(t, json.Unmarshal(settings.Services[0].Info, &info))
	u, err := url.Parse(info.TransportInfo.Endpoint.URIs[0])
	require.NoError(t, err)
	require.Equal(t, s.service.Metadata.Name+":8080", u.Host, "what is registered is the Service of the application")
	require.Equal(t, 8080, s.service.Spec.Ports[0].Port)
	require.Equal(t, pod.Spec.Containers[0].Ports[0].Name, s.service.Spec.Ports[0].TargetPort)
	require.Equal(t, "127.0.0.1:8080", settings.Services[0].Probe.TCP)
	for name, value := range s.service.Spec.Selector {
		require.Equal(t, value, pod.Metadata.Labels[name])
	}
}
