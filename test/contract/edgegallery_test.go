package contract

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	governance    = "/mep/service_govern/v1/"
	capabilities  = "/mepcfg/mec_platform_config/v1/capabilities"
	configuration = "/mepcfg/app_lcm/v1/applications/{appInstanceId}/appd_configuration"
	tasks         = "/mepcfg/app_lcm/v1/tasks/{taskId}/appd_configuration"
	terminated    = "/mep" + mp1.AppSupportBase + "/applications/{appInstanceId}/AppInstanceTermination"
)

// edgeGalleryRoutes are those that there are only under compat: edgegallery.
var edgeGalleryRoutes = []string{"GET " + governance + "services", "GET " + governance + "subscribe_statistic", "GET " + governance + "kong_log", "POST " + governance + "kong_log",
	"GET " + capabilities, "GET " + capabilities + "/{capabilityId}", "POST " + configuration, "PUT " + configuration, "GET " + configuration, "DELETE " + configuration,
	"GET " + tasks, "DELETE " + terminated, "GET /healthcheck", "POST /mep/token"}

var taskID = regexp.MustCompile(`"taskId":"([^"]+)"`)

// edgeGallery asks what MECM, the portal and the gateway ask.
func (j *checker) edgeGallery() {
	s := mep.Start(j.t, "MEP_COMPAT=edgegallery")
	for path, body := range map[string]string{"app/services": service, "consumer/subscriptions": strings.Replace(subscription, `"x"`, `"n"`, 1)} {
		res := s.Do("POST", "/mep"+mp1.Base+"/applications/"+path, body) // Mp1 itself is not as it is described here
		require.Equal(j.t, 201, res.Status, "%s", res.Body)
	}
	id := regexp.MustCompile(`"capabilityId":"([^"]+)"`).FindSubmatch(j.do(s, 200, "GET", capabilities, "").Body)[1]
	require.Contains(j.t, string(j.do(s, 200, "GET", capabilities+"/"+string(id), "").Body), `{"applicationInstanceId":"consumer"}`)
	j.do(s, 404, "GET", capabilities+"/"+none, "")
	j.do(s, 204, "POST", governance+"kong_log", `{"service":{"name":"n0123456789abcdef0123"},"request":{"method":"GET","headers":{"authorization":"Bearer x"}},"upstream_uri":"/n","started_at":1}`)
	j.do(s, 413, "POST", governance+"kong_log", `{"a":"`+strings.Repeat("a", 256<<10)+`"}`)
	j.bad(s, 400, "POST", governance+"kong_log", "[]")
	for _, path := range []string{governance + "services", governance + "subscribe_statistic", governance + "kong_log", "/healthcheck"} {
		j.do(s, 200, "GET", path, "")
		j.bad(s, 400, "GET", path+"?x=1", "")
	}
	for _, path := range []string{capabilities, capabilities + "/" + none, filled.Replace(configuration), strings.Replace(tasks, "{taskId}", none, 1)} {
		j.bad(s, 400, "GET", path+"?x=1", "")
	}
	j.do(s, 404, "POST", "/mep/token", "")
	j.bad(s, 400, "POST", "/mep/token?x=1", "")
	j.configurations(s, strings.Replace(configuration, "{appInstanceId}", "app", 1))
	gone := strings.Replace(terminated, "{appInstanceId}", "app", 1)
	j.bad(s, 400, "DELETE", gone+"?x=1", "")
	j.do(s, 200, "DELETE", gone, "")
	require.Equal(j.t, "[]\n", string(j.do(s, 200, "GET", capabilities, "").Body), "services go at once")
	j.do(s, 200, "DELETE", gone, "")
	require.Eventually(j.t, func() bool { return s.Do("GET", filled.Replace(configuration), "").Status == 404 }, time.Minute, 50*time.Millisecond, "the rest goes after five seconds")
}

// configurations follows the life of one.
func (j *checker) configurations(s *mep.Server, path string) {
	ended := func(task []byte) {
		at := fmt.Sprintf(strings.Replace(tasks, "{taskId}", "%s", 1), taskID.FindSubmatch(task)[1])
		require.Eventually(j.t, func() bool {
			return strings.Contains(string(j.do(s, 200, "GET", at, "").Body), `"configResult":"SUCCESS","configPhase":"100"`)
		}, time.Minute, 10*time.Millisecond)
	}
	rules := `{"appName":"n","appSupportMp1":true,"appDnsRule":[` + dnsRule + `],"appTrafficRule":null}`
	for _, verb := range []string{"GET", "DELETE"} {
		j.do(s, 404, verb, path, "")
	}
	j.do(s, 404, "PUT", path, rules)
	j.do(s, 404, "GET", strings.Replace(tasks, "{taskId}", none, 1), "")
	for _, verb := range []string{"POST", "PUT"} {
		j.bad(s, 400, verb, path, "{}")
		j.bad(s, 413, verb, path, strings.Repeat(" ", 70000))
	}
	ended(j.do(s, 200, "POST", path, rules).Body)
	j.do(s, 400, "POST", path, rules)
	require.Contains(j.t, string(j.do(s, 200, "GET", path, "").Body), `"appDNSRule":[{`)
	ended(j.do(s, 200, "PUT", path, `{"appName":"n"}`).Body)
	require.Contains(j.t, string(j.do(s, 200, "GET", path, "").Body), `"appDNSRule":[]`)
	j.bad(s, 400, "DELETE", path+"?x=1", "")
	ended(j.do(s, 200, "DELETE", path, "").Body)
	ended(j.do(s, 200, "POST", path, rules).Body)
}
