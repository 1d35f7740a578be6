package edgegallery

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func TestCapabilitiesAreTheServicesAndTheirConsumers(t *testing.T) {
	p, r, subs := newPlatform()
	by := serving(p)
	const path = "/mepcfg/mec_platform_config/v1/capabilities"
	status, body := ask(t, by, http.MethodGet, path, "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `[]`, body)

	category := mp1.CategoryRef{Href: "/c", ID: "c", Name: "n", Version: "1"}
	r.add("app-1", "s1", "one", mp1.Active, &category)
	r.add("app-2", "s2", "two", mp1.Suspended, nil)
	r.add("app-3", "s3", "two", mp1.Active, nil)
	*subs = append(*subs,
		subscribed("app-x", &mp1.FilteringCriteria{SerInstanceIDs: []string{"s1", "gone"}}),
		subscribed("app-x", &mp1.FilteringCriteria{SerCategories: []mp1.CategoryRef{category}}),
		subscribed("app-y", &mp1.FilteringCriteria{SerNames: []string{"two"}}),
		subscribed("app-z", &mp1.FilteringCriteria{States: []mp1.State{mp1.Active}}),
		subscribed("app-all", nil))
	_, body = ask(t, by, http.MethodGet, path, "")
	require.JSONEq(t, `[
		{"capabilityId":"s1","capabilityName":"one","status":"ACTIVE","version":"v1","consumers":[{"applicationInstanceId":"app-x"}]},
		{"capabilityId":"s2","capabilityName":"two","status":"SUSPENDED","version":"v1","consumers":[{"applicationInstanceId":"app-y"}]},
		{"capabilityId":"s3","capabilityName":"two","status":"ACTIVE","version":"v1","consumers":[{"applicationInstanceId":"app-y"}]}]`, body)
	status, body = ask(t, by, http.MethodGet, path+"/s2", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"capabilityId":"s2","capabilityName":"two","status":"SUSPENDED","version":"v1","consumers":[{"applicationInstanceId":"app-y"}]}`, body)
	status, _ = ask(t, by, http.MethodGet, path+"/s4", "")
	require.Equal(t, http.StatusNotFound, status)
	r.err = heartbeat.ErrUnavailable
	status, _ = ask(t, by, http.MethodGet, path, "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// MECM's lcmcontroller refuses longer ones before it asks.
func TestMECMTakesTheIDOfEachCapability(t *testing.T) {
	p, r, _ := newPlatform()
	by := serving(p)
	const path = "/mepcfg/mec_platform_config/v1/capabilities"
	place, first, second := strings.Repeat("a", 32), strings.Repeat("1", 32), strings.Repeat("2", 32)
	for _, id := range []string{place + first, place + second, first[:16] + second[:16], strings.Repeat("u", 36)} {
		r.add("app-1", id, "n-"+id, mp1.Active, nil)
	}
	_, body := ask(t, by, http.MethodGet, path, "")
	var all []struct{ CapabilityID, CapabilityName string }
	require.NoError(t, json.Unmarshal([]byte(body), &all))
	require.Len(t, all, 4)
	seen := map[string]bool{}
	for _, c := range all {
		require.LessOrEqual(t, len(c.CapabilityID), 36, c.CapabilityName)
		seen[c.CapabilityID] = true
		for _, id := range []string{c.CapabilityID, strings.TrimPrefix(c.CapabilityName, "n-")} {
			status, one := ask(t, by, http.MethodGet, path+"/"+id, "")
			require.Equal(t, http.StatusOK, status, id)
			require.Contains(t, one, `"capabilityId":"`+c.CapabilityID+`","capabilityName":"`+c.CapabilityName+`"`)
		}
	}
	require.Len(t, seen, 4)
	status, _ := ask(t, by, http.MethodGet, path+"/"+place, "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestMECMIsGivenAllServices(t *testing.T) {
	p, r, _ := newPlatform()
	by := serving(p)
	_, body := ask(t, by, http.MethodGet, "/mep/service_govern/v1/services", "")
	require.JSONEq(t, `{"data":[],"retCode":0,"message":"","params":""}`, body)
	r.add("app-1", "s1", "one", mp1.Active, nil)
	_, body = ask(t, by, http.MethodGet, "/mep/service_govern/v1/services", "")
	var got struct{ Data []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Len(t, got.Data, 1)
	require.JSONEq(t, string(r.all[0].ForGateway()), string(got.Data[0]))
	require.Contains(t, string(got.Data[0]), `/mep/mec_service_mgmt/v1/applications/app-1/services/s1`)
}

func TestSubscriptionsAreCountedByApplicationAndService(t *testing.T) {
	p, r, subs := newPlatform()
	by := serving(p)
	const path = "/mep/service_govern/v1/subscribe_statistic"
	_, body := ask(t, by, http.MethodGet, path, "")
	require.JSONEq(t, `{"data":{"subscribeNum":{"appSubscribeNum":0,"serviceSubscribedNum":0},"subscribeRelations":[]},"retCode":0,"message":"","params":""}`, body)
	r.add("app-1", "s1", "one", mp1.Active, nil)
	r.add("app-1", "s2", "two", mp1.Active, nil)
	*subs = append(*subs,
		subscribed("app-y", &mp1.FilteringCriteria{SerInstanceIDs: []string{"s1", "gone"}}),
		subscribed("app-y", &mp1.FilteringCriteria{SerNames: []string{"two", "unknown"}}),
		subscribed("app-x", nil))
	_, body = ask(t, by, http.MethodGet, path, "")
	require.JSONEq(t, `{"data":{"subscribeNum":{"appSubscribeNum":2,"serviceSubscribedNum":3},"subscribeRelations":[
		{"subscribeAppId":"app-x","serviceList":[]},{"subscribeAppId":"app-y","serviceList":["gone","s1","s2"]}]},"retCode":0,"message":"","params":""}`, body)
}
