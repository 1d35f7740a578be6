package site

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	camera  = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	viewer  = "9a2f6d1c-6b7e-4f0a-8f3d-0a8e5b9c7d21"
	poor    = "1c2f6d1c-6b7e-4f0a-8f3d-0a8e5b9c7d22" // requires nothing
	support = "/mep/mec_app_support/v1/applications/"
	mp1     = "/mep/mec_service_mgmt/v1"
	govern  = around + "/mep/service_govern/v1"
)

// posted is a service as EdgeGallery's agent posts it.
const posted = `{"serName":"sampleapp","serCategory":{"href":"","id":"","name":"","version":""},"version":"v1","state":"ACTIVE","transportId":"Rest1",
	"transportInfo":{"id":"t1","name":"REST","description":"","type":"REST_HTTP","protocol":"HTTP","version":"2.0",
	"endpoint":{"uris":["http://` + primary + `:9500/"],"addresses":null,"alternative":null},"security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}},"implSpecificInfo":{}},
	"serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":false,"isLocal":true,"livenessInterval":10,"_links":{"self":{"liveness":""}}}`

// service is what consumers read of one.
type service struct {
	SerInstanceID    string `json:"serInstanceId"`
	State            string `json:"state"`
	LivenessInterval int    `json:"livenessInterval"`
	TransportInfo    struct {
		Endpoint struct {
			URIs []string `json:"uris"`
		} `json:"endpoint"`
	} `json:"transportInfo"`
	Links struct {
		Self struct {
			Liveness string `json:"liveness"`
		} `json:"self"`
		AppInstanceID string `json:"appInstanceId"`
	} `json:"_links"`
}

// register posts a service through the gateway, as EdgeGallery's agent does.
func (p *platform) register(app string) service {
	p.t.Helper()
	s := p.post(app, posted)
	require.Equal(p.t, 60, s.LivenessInterval)
	require.True(p.t, strings.HasPrefix(s.Links.Self.Liveness, "/mep/"), "the agent puts it behind scheme://host:port")
	return s
}

func (p *platform) post(app, body string) (s service) {
	p.t.Helper()
	p.want(http.StatusCreated, "POST", gateway+mp1+"/applications/"+app+"/services", body, p.bearer(app)...).into(p.t, &s)
	return s
}

// discovered is what an application discovers of a name through the gateway.
func (p *platform) discovered(app, name string) (all []service) {
	p.t.Helper()
	p.want(http.StatusOK, "GET", gateway+mp1+"/services?ser_name="+name, "", p.bearer(app)...).into(p.t, &all)
	return all
}

// Blockers 4 to 7, and the whole life of an application at the platform: it registers through the
// gateway, beats, is discovered and called through the gateway by whoever requires it, and is
// gone from everywhere when MECM deletes it.
func TestTheLifeOfAnApplicationGoesOnAsAtEdgeGallery(t *testing.T) {
	p := newPlatform(t)
	p.start()
	for app, services := range map[string][]string{camera: {}, viewer: {"sampleapp"}, poor: {}} {
		p.mepauth.Require(app, services...)
	}
	listen(t, primary+":9500", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("it is " + r.URL.Path)) }))

	s := p.register(camera)
	p.want(http.StatusNoContent, "PUT", gateway+s.Links.Self.Liveness, `{"state":"ACTIVE"}`, p.bearer(camera)...)
	p.want(http.StatusForbidden, "PUT", gateway+s.Links.Self.Liveness, `{"state":"ACTIVE"}`, p.bearer(viewer)...)
	p.want(http.StatusUnauthorized, "PUT", gateway+s.Links.Self.Liveness, `{"state":"ACTIVE"}`)
	p.want(http.StatusUnauthorized, "PUT", around+s.Links.Self.Liveness, `{"state":"ACTIVE"}`)

	require.Empty(t, p.discovered(poor, "sampleapp"), "it requires nothing")
	var found service
	wait.Until(t, "the gateway to lead to the service", func() bool {
		all := p.discovered(viewer, "sampleapp")
		require.Len(t, all, 1)
		found = all[0]
		return len(p.kong.Entries()) == 1
	})
	require.Equal(t, camera, found.Links.AppInstanceID)
	require.Len(t, found.TransportInfo.Endpoint.URIs, 1)
	at, public := strings.CutPrefix(found.TransportInfo.Endpoint.URIs[0], "https://mep-api-gw.mep:8443/")
	require.True(t, public, "%v", found.TransportInfo.Endpoint.URIs)
	p.want(http.StatusUnauthorized, "GET", gateway+"/"+at+"/x", "")
	require.Contains(t, p.want(http.StatusOK, "GET", gateway+"/"+at+"/x", "", p.bearer(viewer)...).body, "it is /")

	p.portal(s)
	p.restart()
	require.Equal(t, "ACTIVE", p.discovered(viewer, "sampleapp")[0].State, "a restart suspends nobody")
	p.kong.Empty()
	p.setUpKong()
	wait.Until(t, "the gateway to lead to the service again", func() bool { return p.kong.Entries()[at] != "" })

	p.end(s)
	wait.Until(t, "the gateway to lead there no more", func() bool { return len(p.kong.Entries()) == 0 })
	wait.Until(t, "mepauth to forget the application", func() bool { return !p.mepauth.Knows(camera) })
	require.True(t, p.mepauth.Knows(viewer))
	require.Empty(t, p.discovered(viewer, "sampleapp"))
}

// portal asks what EdgeGallery's portal and MECM show of a service.
func (p *platform) portal(s service) {
	t := p.t
	var all []service
	p.want(http.StatusOK, "GET", around+mp1+"/services", "").into(t, &all)
	require.Len(t, all, 1, "nobody filters the portal")
	require.Equal(t, []string{s.SerInstanceID, "ACTIVE", camera}, []string{all[0].SerInstanceID, all[0].State, all[0].Links.AppInstanceID})

	var capabilities []struct {
		CapabilityID, CapabilityName, Status, Version string
		Consumers                                     []struct{ ApplicationInstanceID string }
	}
	p.want(http.StatusOK, "GET", around+"/mepcfg/mec_platform_config/v1/capabilities", "").into(t, &capabilities)
	require.Len(t, capabilities, 1)
	require.Equal(t, "sampleapp", capabilities[0].CapabilityName)
	p.want(http.StatusOK, "GET", around+"/mepcfg/mec_platform_config/v1/capabilities/"+capabilities[0].CapabilityID, "")

	var governed struct {
		Data    []service
		RetCode int
	}
	p.want(http.StatusOK, "GET", govern+"/services", "").into(t, &governed)
	require.Len(t, governed.Data, 1)
	require.Contains(t, p.want(http.StatusOK, "GET", govern+"/subscribe_statistic", "").body, `"appSubscribeNum"`)
	wait.Until(t, "the gateway's log to be counted", func() bool {
		var calls struct {
			Data struct {
				MepServices []struct {
					Name      string
					CallTimes []int
				}
			}
		}
		p.want(http.StatusOK, "GET", govern+"/kong_log", "").into(t, &calls)
		for _, one := range calls.Data.MepServices {
			if one.Name == "serviceDiscovery" && len(one.CallTimes) == 7 && one.CallTimes[0] > 0 {
				return true
			}
		}
		return false
	})
	require.NotContains(t, p.server.Stderr.Settled(), "edgegallery.PostCall", "there is one for each heartbeat, and no line of the audit log")
	for _, host := range []string{"mep-mm5.mep:80", "mep-mm5.mep", "mep-mm5"} { // as others write it, whatever leads there
		p.want(http.StatusOK, "GET", around+"/healthcheck", "", "Host", host)
		p.want(http.StatusOK, "GET", govern+"/services", "", "Host", host, "Origin", "http://portal.example:30095", "Sec-Fetch-Site", "same-origin")
		p.want(http.StatusOK, "GET", "https://127.0.0.1:8088/mep/service_govern/v1/services", "", "Host", host)
	}
	for _, path := range []string{"/mepcfg/mec_platform_config/v1/capabilities", "/mep/service_govern/v1/services"} {
		p.want(http.StatusForbidden, "GET", "https://"+multus+":8088"+path, "") // the networks of applications
		p.want(http.StatusNotFound, "GET", gateway+path, "", p.bearer(viewer)...)
	}
}

// end lets the application listen for its end around the gateway, as EdgeGallery's examples do,
// and MECM delete it.
func (p *platform) end(s service) {
	t := p.t
	told := make(chan string, 8)
	listen(t, primary+":9501", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case told <- r.URL.Path:
		default:
		}
		_, _ = w.Write([]byte("OK"))
	}))
	p.want(http.StatusNoContent, "POST", around+support+camera+"/confirm_ready", `{"indication":"READY"}`)
	p.want(http.StatusCreated, "POST", around+support+camera+"/subscriptions",
		`{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://`+primary+`:9501/end","appInstanceId":"`+camera+`"}`)
	began := time.Now()
	a := p.want(http.StatusOK, "DELETE", around+support+camera+"/AppInstanceTermination", "", "X-AppinstanceID", camera, "X-Real-Ip", primary)
	require.Equal(t, `""`, strings.TrimSpace(a.body))
	t.Logf("the termination was answered after %v", time.Since(began))
	select {
	case path := <-told:
		require.Equal(t, "/end", path)
	case <-time.After(time.Minute):
		t.Fatal("the application was not told of its end")
	}
	p.want(http.StatusNoContent, "POST", around+support+camera+"/confirm_termination", `{"operationAction":"TERMINATING"}`)
	wait.Until(t, "the service to be gone", func() bool {
		return !strings.Contains(p.want(http.StatusOK, "GET", around+mp1+"/services", "").body, s.SerInstanceID)
	})
}

// No application reaches what is beside us in the pod, such as Kong's Admin API, by a callback.
func TestNoCallbackLeadsIntoThePod(t *testing.T) {
	p := newPlatform(t)
	p.start()
	for _, at := range []string{primary + ":8001", primary + ":8088", multus + ":8444", "127.0.0.1:8001"} {
		p.want(http.StatusBadRequest, "POST", around+support+camera+"/subscriptions",
			`{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://`+at+`/","appInstanceId":"`+camera+`"}`)
	}
}

// Blocker 8: MECM configures an application's rules, and polls until they are applied.
func TestMECMsRulesOfNamesReachTheDNSServer(t *testing.T) {
	p := newPlatform(t)
	p.start()
	path := around + "/mepcfg/app_lcm/v1/applications/" + camera + "/appd_configuration"
	const rules = `{"appTrafficRule":[],"appDNSRule":[{"dnsRuleId":"dns1","domainName":"cam.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","ttl":30}],"appSupportMp1":true,"appName":"camera"}`
	for _, step := range []struct {
		method, body string
		has          bool
	}{{"POST", rules, true}, {"PUT", rules, true}, {"DELETE", "", false}} {
		var task struct{ TaskID, ConfigResult string }
		p.want(http.StatusOK, step.method, path, step.body).into(t, &task)
		require.Equal(t, "PROCESSING", task.ConfigResult)
		wait.Until(t, step.method+" to be applied", func() bool {
			p.want(http.StatusOK, "GET", around+"/mepcfg/app_lcm/v1/tasks/"+task.TaskID+"/appd_configuration", "").into(t, &task)
			require.NotEqual(t, "FAILURE", task.ConfigResult)
			return task.ConfigResult == "SUCCESS"
		})
		require.Equal(t, step.has, p.dns.has("cam.example.com."), step.method)
	}
}
