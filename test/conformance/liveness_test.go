package conformance

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// isLivenessInfo wants the schema of ServiceLivenessInfo.
func isLivenessInfo(t *testing.T, a mep.Answer, interval int) {
	t.Helper()
	m := a.Object(t)
	require.Equal(t, "ACTIVE", m["state"])
	require.EqualValues(t, interval, m["interval"])
	stamp := m["timeStamp"].(map[string]any)
	require.Positive(t, stamp["seconds"])
	require.Contains(t, stamp, "nanoSeconds")
}

func TestMSL_001_OK(t *testing.T) {
	p := begin(t, "8.2.10.3.1", "GET the link _links.liveness.href: 200, a ServiceLivenessInfo, ACTIVE")
	s := p.register("n", 10)
	isLivenessInfo(t, p.want(http.StatusOK, "GET", s.liveness, ""), 10)
}

func TestMSL_001_NF(t *testing.T) {
	p := begin(t, "8.2.10.3.1", "GET an unknown liveness URI: 404")
	p.want(http.StatusNotFound, "GET", p.of("/services/"+unknownService+"/liveness"), "")
}

func TestMSL_002_OK_01(t *testing.T) {
	p := begin(t, "8.2.10.3.3", "PATCH state ACTIVE when the platform has a new interval to tell: 200, a ServiceLivenessInfo, ACTIVE")
	s := p.register("n", 10)
	p.want(http.StatusOK, "PUT", s.self, serviceInfo("n", `,"livenessInterval":20`))
	isLivenessInfo(t, p.want(http.StatusOK, "PATCH", s.liveness, mep.Alive), 20)
}

func TestMSL_002_OK_02(t *testing.T) {
	p := begin(t, "8.2.10.3.3", "PATCH state ACTIVE: 204, no body")
	s := p.register("n", 10)
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive, "Content-Type", "*/*")
}

func TestMSL_002_BR(t *testing.T) {
	p := begin(t, "8.2.10.3.3", "PATCH state INACTIVE: 400")
	s := p.register("n", 10)
	p.want(http.StatusBadRequest, "PATCH", s.liveness, `{"state":"INACTIVE"}`)
	require.Equal(t, "ACTIVE", s.state())
}

func TestMSL_002_NF(t *testing.T) {
	p := begin(t, "8.2.10.3.3", "PATCH state INACTIVE to an unknown liveness URI: 404")
	p.want(http.StatusNotFound, "PATCH", p.of("/services/"+unknownService+"/liveness"), `{"state":"INACTIVE"}`)
	p.want(http.StatusNotFound, "PATCH", mep.LivenessOf(unknownApp, unknownService), `{"state":"INACTIVE"}`)
}

const registrations = mp1.AppSupportBase + "/registrations"

// enter registers an application and removes it again.
func (p *platform) enter(body string) mep.Answer {
	p.t.Helper()
	r := p.want(http.StatusCreated, "POST", registrations, body)
	m := r.Object(p.t)
	require.Equal(p.t, "sampleAppName", m["appName"])
	require.Equal(p.t, registrations+"/"+m["appInstanceId"].(string), r.Header.Get("Location"))
	p.t.Cleanup(func() { p.want(http.StatusNoContent, "DELETE", r.Header.Get("Location"), "") })
	return r
}

func TestREGAPPS_001_OK_01(t *testing.T) {
	p := begin(t, "7.2.13.3.4", "POST an AppInfo with an endpoint, without appInstanceId: 201, Location, the appName that was posted, an id")
	m := p.enter(`{"appName":"sampleAppName","isInsByMec":false,"endpoint":{"uris":["http://example.com"]}}`).Object(t)
	require.NotEmpty(t, m["appInstanceId"])
}

func TestREGAPPS_001_OK_02(t *testing.T) {
	p := begin(t, "7.2.13.3.4", "POST an AppInfo with appInstanceId: 201, the same appInstanceId")
	require.Equal(t, "appInstanceId2", p.enter(`{"appName":"sampleAppName","appInstanceId":"appInstanceId2"}`).Object(t)["appInstanceId"])
}

func TestREGAPPS_001_OK_03(t *testing.T) {
	p := begin(t, "7.2.13.3.4", "POST an AppInfo with appInstanceId and appDId: 201, the same ids")
	m := p.enter(`{"appName":"sampleAppName","appInstanceId":"appInstanceId3","appDId":"appDId"}`).Object(t)
	require.Equal(t, "appInstanceId3", m["appInstanceId"])
	require.Equal(t, "appDId", m["appDId"])
}

func TestREGAPPS_001_BR_01(t *testing.T) {
	p := begin(t, "7.2.13.3.4", "POST for an application that the MEC management instantiated, without appDId or appInstanceId: 400")
	p.want(http.StatusBadRequest, "POST", registrations, `{"appName":"appNameWithoutAppDId","appInstanceId":"appInstanceIdWithoutAppDId","isInsByMec":true}`)
	p.want(http.StatusBadRequest, "POST", registrations, `{"appName":"n","appDId":"d","isInsByMec":true}`)
}

func TestREGAPPS_001_BR_02(t *testing.T) {
	p := begin(t, "7.2.13.3.4", "POST for an application that it did not instantiate, without endpoint: 400")
	p.want(http.StatusBadRequest, "POST", registrations, `{"appName":"appNameWithoutAppDId","appInstanceId":"appInstanceIdWithoutAppDId","isInsByMec":false}`)
}

// unexpected posts dependencies that must not be there: without an endpoint, and
// beside a descriptor.
func unexpected(t *testing.T, member, entry string) {
	p := begin(t, "7.2.13.3.4", "POST with unexpected "+member+": 400")
	list := `"` + member + `":[` + entry + `]`
	p.want(http.StatusBadRequest, "POST", registrations, `{"appName":"appNameWithoutAppDId",`+list+`}`)
	p.want(http.StatusBadRequest, "POST", registrations, `{"appName":"n","appInstanceId":"a","appDId":"d",`+list+`}`)
	p.enter(`{"appName":"sampleAppName","endpoint":{"uris":[]},` + list + `}`)
}

func TestREGAPPS_001_BR_03(t *testing.T) {
	unexpected(t, "appServiceRequired", `{"serName":"serviceName","version":"0.1"}`)
}

func TestREGAPPS_001_BR_04(t *testing.T) {
	unexpected(t, "appServiceOptional", `{"serName":"serviceName","version":"0.1"}`)
}

func TestREGAPPS_001_BR_05(t *testing.T) {
	unexpected(t, "appFeatureRequired", `{"featureName":"featureName","version":"0.1"}`)
}

func TestREGAPPS_001_BR_06(t *testing.T) {
	unexpected(t, "appFeatureOptional", `{"featureName":"featureName","version":"0.1"}`)
}

func TestREGAPPS_002_OK(t *testing.T) {
	p := begin(t, "7.2.14.3.1", "GET a registration: 200, the same appInstanceId")
	require.Equal(t, p.app, p.want(http.StatusOK, "GET", registrations+"/"+p.app, "").Object(t)["appInstanceId"])
}

func TestREGAPPS_002_NF(t *testing.T) {
	p := begin(t, "7.2.14.3.1", "GET an unknown registration: 404")
	p.want(http.StatusNotFound, "GET", registrations+"/"+unknownApp, "")
}

func TestREGAPPS_003_OK(t *testing.T) {
	p := begin(t, "7.2.14.3.2", "PUT a registration: 204")
	p.want(http.StatusNoContent, "PUT", registrations+"/"+p.app, `{"appName":"sampleAppName"}`)
	require.Equal(t, "sampleAppName", p.want(http.StatusOK, "GET", registrations+"/"+p.app, "").Object(t)["appName"])
}

func TestREGAPPS_003_NF(t *testing.T) {
	p := begin(t, "7.2.14.3.2", "PUT an unknown registration: 404")
	p.want(http.StatusNotFound, "PUT", registrations+"/"+unknownApp, `{"appName":"sampleAppName"}`)
}

func TestREGAPPS_004_OK(t *testing.T) {
	p := begin(t, "7.2.14.3.5", "DELETE a registration: 204, and the application is not known any more")
	p.register("n", -1)
	p.want(http.StatusNoContent, "DELETE", registrations+"/"+p.app, "")
	p.want(http.StatusNotFound, "GET", registrations+"/"+p.app, "")
	p.want(http.StatusNotFound, "POST", p.of("/services"), serviceInfo("n", ""))
}

func TestREGAPPS_004_NF(t *testing.T) {
	p := begin(t, "7.2.14.3.5", "DELETE an unknown registration: 404")
	p.want(http.StatusNotFound, "DELETE", registrations+"/"+unknownApp, "")
}
