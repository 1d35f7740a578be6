package e2e

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// chassisProgram compiles one of the two go-chassis applications, with the plugins of this
// repository.
func chassisProgram(t *testing.T, name string) string {
	t.Helper()
	return built.Module(t, "test/e2e/chassis", "./"+name, "agent", "mp1")
}

// greeter runs a go-chassis application that offers the service greeter and answers with a
// text, until the test ends or stops it.
func greeter(t *testing.T, registry, url, listen, text string) *client {
	t.Helper()
	return runClient(t, chassisProgram(t, "provider"), registry, url, listen, "greeting-app", "greeter", "1.2.0", text)
}

// registeredOnce waits until the application has one registration, and returns it.
func registeredOnce(t *testing.T, s *mep.Server) (only map[string]any) {
	t.Helper()
	wait.Until(t, "the platform has the service once, ACTIVE", func() bool {
		all := s.Do(http.MethodGet, "/mec_service_mgmt/v1/applications/greeting-app/services", "").List(t)
		if len(all) > 0 {
			only = all[0]
		}
		return len(all) == 1 && only["state"] == "ACTIVE"
	})
	return only
}

// Two go-chassis applications of different appIds, joined by two lines of their
// configuration: the provider is registered over Mp1 and kept alive by the agent, the
// consumer finds and calls it, not when it is dead, and again when it is back.
func TestGoChassisApplicationsBecomeMECApplications(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	caller := runClient(t, chassisProgram(t, "consumer"), "mec", s.URL, "http://greeter/hello")
	caller.await("error lb: No available instance")

	listen := proc.Free(t)
	provider := greeter(t, "mec", s.URL, listen, "first")
	caller.await("answer 200 first")
	first := registeredOnce(t, s)
	require.Equal(t, "greeter", first["serName"])
	require.Equal(t, "1.2.0", first["version"])
	require.EqualValues(t, 1, first["livenessInterval"])
	transport, _ := first["transportInfo"].(map[string]any)
	require.Equal(t, map[string]any{"uris": []any{"http://" + listen}}, transport["endpoint"])

	provider.Signal(syscall.SIGKILL)
	caller.await("error")
	caller.await("error lb: No available instance") // the platform has suspended it
	provider = greeter(t, "mec", s.URL, listen, "second")
	caller.await("answer 200 second")
	require.Equal(t, first["serInstanceId"], registeredOnce(t, s)["serInstanceId"], "it goes on with its registration")

	provider.Signal(syscall.SIGTERM)
	wait.Until(t, "it deregisters", func() bool {
		return len(s.Do(http.MethodGet, "/mec_service_mgmt/v1/applications/greeting-app/services", "").List(t)) == 0
	})
	caller.await("error lb: No available instance")
	greeter(t, "mec", s.URL, proc.Free(t), "third")
	caller.await("answer 200 third")
	registeredOnce(t, s)
}

// The same two applications through service-center's own registry on the same server.
func TestTheSameApplicationsMeetAtServiceCenter(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	caller := runClient(t, chassisProgram(t, "consumer"), "servicecenter", s.URL, "http://greeter/hello", "greeting-app")
	caller.await("error")
	provider := greeter(t, "servicecenter", s.URL, proc.Free(t), "first")
	caller.await("answer 200 first")
	require.Empty(t, s.Do(http.MethodGet, "/mec_service_mgmt/v1/services", "").List(t), "Mp1 does not show what ServiceComb's clients register")
	provider.Signal(syscall.SIGTERM)
	caller.await("error")

	provider = greeter(t, "servicecenter", s.URL, proc.Free(t), "second")
	caller.await("answer 200 second")
	provider.Signal(syscall.SIGTERM)
	caller.await("error")
}
