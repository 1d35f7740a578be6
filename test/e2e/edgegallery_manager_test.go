package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	managed           = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	configurationPath = "/mepcfg/app_lcm/v1/applications/" + managed + "/appd_configuration"
	terminationPath   = "/mep/mec_app_support/v1/applications/" + managed + "/AppInstanceTermination"
	// as MECM writes it
	managedRules = `{"appdRuleId":"r","tenantId":"t","appInstanceId":"` + managed + `","appName":"demo","appSupportMp1":true,"appTrafficRule":[],"origin":"meo",
		"appDnsRule":[{"dnsRuleId":"d","domainName":"cam.mec.example","ipAddressType":"IP_V4","ipAddress":"10.0.0.1","ttl":30}]}`
)

// taskOf is what comes of a task that a request to MECM's route begins.
func taskOf(t *testing.T, s *mep.Server, verb, body string) (result func() string) {
	t.Helper()
	begun := s.Want(200, verb, configurationPath, body).Object(t)
	require.Equal(t, "PROCESSING", begun["configResult"])
	return func() string {
		now := s.Want(200, "GET", "/mepcfg/app_lcm/v1/tasks/"+begun["taskId"].(string)+"/appd_configuration", "").Object(t)
		return strings.TrimSpace(now["configResult"].(string) + " " + now["Detailed"].(string))
	}
}

// The configuration of an application by MECM, through a crash of the server and failures of the
// DNS server.
func TestAConfigurationOfMECMSurvivesCrashesAndFailures(t *testing.T) {
	t.Parallel()
	d := &dnsServer{records: map[string]string{}, down: true}
	listening := httptest.NewServer(d)
	defer listening.Close()
	s := mep.Start(t, append([]string{"MEP_COMPAT=edgegallery", "MEP_RULES_DNS_DRIVER=edgegallery", "MEP_RULES_DNS_URL=" + listening.URL}, mep.Fast...)...)

	failing := taskOf(t, s, "POST", managedRules)
	wait.Until(t, "the task fails, with the reason", func() bool { return strings.HasPrefix(failing(), "FAILURE cam.mec.example: ") })
	s.Want(404, "GET", configurationPath, "")

	created := taskOf(t, s, "POST", managedRules)
	s.Kill()
	d.set(false)
	s.Restart()
	wait.Until(t, "the task goes on after a crash", func() bool { return created() == "SUCCESS" })
	require.Contains(t, d.has(), "10.0.0.1")
	require.Equal(t, "demo", s.Want(200, "GET", configurationPath, "").Object(t)["appName"])

	removed := taskOf(t, s, "DELETE", "")
	wait.Until(t, "the rules are gone", func() bool { return removed() == "SUCCESS" })
	require.Equal(t, "map[]", d.has())
	s.Want(404, "GET", configurationPath, "")
}

// MECM instantiates an application again as soon as its deletion was answered, and takes anything
// but 200 for failure.
func TestTheNamesOfATerminatedApplicationAreFreeAtOnce(t *testing.T) {
	t.Parallel()
	d := &dnsServer{records: map[string]string{}}
	listening := httptest.NewServer(d)
	defer listening.Close()
	s := mep.Start(t, append([]string{"MEP_COMPAT=edgegallery", "MEP_RULES_DNS_DRIVER=edgegallery", "MEP_RULES_DNS_URL=" + listening.URL}, mep.Fast...)...)
	created := taskOf(t, s, "POST", managedRules)
	wait.Until(t, "the application is configured", func() bool { return created() == "SUCCESS" })

	s.Want(200, "DELETE", terminationPath, "")
	const other = "6bcda6b5-2c70-4e47-9a4e-0ee3a1a0fd1f"
	s.Want(200, "POST", strings.Replace(configurationPath, managed, other, 1), strings.Replace(managedRules, managed, other, 1))
	s.Want(200, "DELETE", strings.Replace(terminationPath, managed, other, 1), "")
	again := taskOf(t, s, "POST", managedRules)
	wait.Until(t, "the application is configured again", func() bool { return again() == "SUCCESS" })
	require.Contains(t, d.has(), "10.0.0.1")
}

// The deletion of an application by MECM: its services go at once, and mepauth forgets it, however
// long it is away.
func TestMepauthForgetsATerminatedApplicationThroughCrashes(t *testing.T) {
	t.Parallel()
	e := newEdgeGallery(t)
	e.auth.Require(managed, "*")
	s := mep.Start(t, append(e.settings(), mep.Fast...)...)
	s.Want(201, "POST", "/mep"+mep.ServicesOf(managed), sampleAt("face", "10.0.0.5:8080"))
	e.auth.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true })
	require.Equal(t, "\"\"\n", string(s.Want(200, "DELETE", terminationPath, "").Body))
	require.Equal(t, "[]\n", string(s.Want(200, "GET", "/mepcfg/mec_platform_config/v1/capabilities", "").Body))
	s.Kill()
	s.Restart()
	require.True(t, e.auth.Knows(managed))
	require.Equal(t, "\"\"\n", string(s.Want(200, "DELETE", terminationPath, "").Body), "it is terminated already")
	e.auth.Intercept(nil)
	wait.Until(t, "mepauth forgets the application", func() bool { return !e.auth.Knows(managed) })
	require.Contains(t, e.auth.Requests(), "DELETE /mep/appMng/v1/applications/"+managed+"/confs")
}
