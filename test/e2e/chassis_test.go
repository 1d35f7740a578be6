package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// The configuration of the two applications.
const (
	providerConfiguration = `
servicecomb:
  registry:
    type: %s
    address: %s
    scope: full
    heartbeat:
      interval: 1s
  protocols:
    rest:
      listenAddress: %s
`
	providerDescription = `
servicecomb:
  service:
    app: greeting-app
    name: greeter
    version: 1.2.0
    instanceProperties:
      canary: "yes"
`
	consumerConfiguration = `
servicecomb:
  registry:
    type: %s
    address: %s
    refreshInterval: 1s
`
	consumerDescription = `
servicecomb:
  service:
    app: shop
    name: till
    version: 1.0.0
`
)

// runChassis compiles one of the two go-chassis applications, with the plugins of this
// repository, and runs it with a configuration until the test ends or stops it.
func runChassis(t *testing.T, name, configuration, description, env string, args ...string) *client {
	t.Helper()
	home := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(home, "conf"), 0o700))
	for file, text := range map[string]string{"chassis.yaml": configuration, "microservice.yaml": description} {
		require.NoError(t, os.WriteFile(filepath.Join(home, "conf", file), []byte(text), 0o600))
	}
	c := &client{t: t}
	c.Process = proc.Command{Program: built.Module(t, "test/e2e/chassis", "./"+name, "agent", "mp1"), Args: args, Dir: home,
		Env: []string{"CHASSIS_HOME=" + home, "http_proxy=", "HTTP_PROXY=", env}}.Start(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, c.Both)
		}
	})
	return c
}

// greeter runs a go-chassis application that offers the service greeter, and answers with a
// text.
func greeter(t *testing.T, registry, url, listen, text string) *client {
	t.Helper()
	return runChassis(t, "provider", fmt.Sprintf(providerConfiguration, registry, url, listen), providerDescription, "GREETING="+text)
}

// caller runs a go-chassis application that calls the greeter over and over.
func caller(t *testing.T, registry, url string, app ...string) *client {
	t.Helper()
	return runChassis(t, "consumer", fmt.Sprintf(consumerConfiguration, registry, url), consumerDescription, "", append([]string{"http://greeter/hello"}, app...)...)
}

const greeterServices = "/mec_service_mgmt/v1/applications/greeting-app/services"

// registeredOnce waits until the greeter has one registration, and returns it.
func registeredOnce(t *testing.T, s *mep.Server) (only map[string]any) {
	t.Helper()
	wait.Until(t, "the platform has the service once, ACTIVE", func() bool {
		all := s.Do(http.MethodGet, greeterServices, "").List(t)
		if len(all) > 0 {
			only = all[0]
		}
		return len(all) == 1 && only["state"] == "ACTIVE"
	})
	return only
}

// Two go-chassis applications of different appIds, joined by two lines of their
// configuration: the provider is registered over Mp1 and kept alive by the agent; the
// consumer finds and calls it, not when it is dead, and again when it is back.
func TestGoChassisApplicationsBecomeMECApplications(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	consumer := caller(t, "mec", s.URL)
	consumer.await("error lb: No available instance")

	listen := proc.Free(t)
	provider := greeter(t, "mec", s.URL, listen, "first")
	consumer.await("answer 200 first")
	first := registeredOnce(t, s)
	require.Equal(t, "greeter", first["serName"])
	require.Equal(t, "1.2.0", first["version"])
	require.EqualValues(t, 1, first["livenessInterval"])
	transport, _ := first["transportInfo"].(map[string]any)
	require.Equal(t, map[string]any{"uris": []any{"http://" + listen}}, transport["endpoint"])

	provider.Kill()
	consumer.await("error")
	consumer.await("error lb: No available instance") // the platform has suspended it
	provider = greeter(t, "mec", s.URL, listen, "second")
	consumer.await("answer 200 second")
	require.Equal(t, first["serInstanceId"], registeredOnce(t, s)["serInstanceId"], "it goes on with its registration")

	require.Zero(t, provider.Terminate(), "%s", provider.Both)
	require.Empty(t, s.Do(http.MethodGet, greeterServices, "").List(t), "it has deregistered")
	consumer.await("error lb: No available instance")
	greeter(t, "mec", s.URL, proc.Free(t), "third")
	consumer.await("answer 200 third")
	registeredOnce(t, s)

	// a consumer that uses service-center's own registry finds it as well, and one that names
	// another application does not
	caller(t, "servicecenter", s.URL, "greeting-app").await("answer 200 third")
	caller(t, "mec", s.URL, "greeting-app").await("answer 200 third")
	caller(t, "mec", s.URL, "other-app").await("error lb: No available instance")
}

// The same two applications through service-center's own registry on the same server.
func TestTheSameApplicationsMeetAtServiceCenter(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	consumer := caller(t, "servicecenter", s.URL, "greeting-app")
	consumer.await("error")
	for _, text := range []string{"first", "second"} {
		provider := greeter(t, "servicecenter", s.URL, proc.Free(t), text)
		consumer.await("answer 200 " + text)
		require.Empty(t, s.Do(http.MethodGet, "/mec_service_mgmt/v1/services", "").List(t), "Mp1 does not show what ServiceComb's clients register")
		require.Zero(t, provider.Terminate(), "%s", provider.Both)
		consumer.await("error")
	}
}

// Applications start before their platform, and outlive it: they meet when it is there, calls
// go on while it is away, and what a platform with a new store does not know is registered
// there once.
func TestGoChassisApplicationsStartAndGoOnWithoutTheirPlatform(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	at := proc.Free(t)
	consumer := caller(t, "mec", "http://"+at)
	consumer.await("error")
	greeter(t, "mec", "http://"+at, proc.Free(t), "early")
	s := mep.Options{Listen: at, Env: mep.Fast}.Start(t)
	consumer.await("answer 200 early")
	registeredOnce(t, s)

	said := len(consumer.Both.String())
	s.Kill()
	wait.Until(t, "the consumer notices", func() bool { return strings.Contains(consumer.Both.String()[said:], "the platform does not answer") })
	require.NotContains(t, consumer.Both.String()[said:], "\nerror", "no call has failed")
	s.DataDir = t.TempDir()
	s.Restart()
	registeredOnce(t, s)
}
