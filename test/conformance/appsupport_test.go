package conformance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// support is a resource of the application in application support.
func (p *platform) support(resource string) string { return supportOf(p.app, resource) }

func supportOf(app, resource string) string {
	return mp1.AppSupportBase + "/applications/" + app + resource
}

// terminationSubscription is the suite's AppTerminationNotificationSubscription, with a _links of
// the client's.
func terminationSubscription(app, callback string) string {
	return `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"` + callback +
		`","_links":{"self":{"href":"https://somewhere.com/mecAppSuptApi/example"}},"appInstanceId":"` + app + `"}`
}

func (p *platform) subscribeToTermination(callback string) (location string) {
	p.t.Helper()
	return p.want(http.StatusCreated, "POST", p.support("/subscriptions"), terminationSubscription(p.app, callback)).Header.Get("Location")
}

func (p *platform) registration() string { return mp1.AppSupportBase + "/registrations/" + p.app }

func TestAPPSUB_001_OK(t *testing.T) {
	p := begin(t, "7.2.3.3.1", "GET /applications/{a}/subscriptions: 200, a link list with _links.self")
	one := p.subscribeToTermination(nowhere)
	links := p.want(http.StatusOK, "GET", p.support("/subscriptions"), "").Object(t)["_links"].(map[string]any)
	require.Equal(t, p.support("/subscriptions"), links["self"].(map[string]any)["href"])
	list := links["subscriptions"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, one, list[0].(map[string]any)["href"])
	require.Equal(t, "AppTerminationNotificationSubscription", list[0].(map[string]any)["subscriptionType"])
}

func TestAPPSUB_001_NF(t *testing.T) {
	p := begin(t, "7.2.3.3.1", "GET of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "GET", supportOf(unknownApp, "/subscriptions"), "")
}

func TestAPPSUB_002_OK(t *testing.T) {
	p := begin(t, "7.2.3.3.4", "POST a subscription with _links: 201, Location, _links, appInstanceId, subscriptionType and callbackReference as posted")
	const callback = "https://somewhere.com/mecAppSuptApi/example"
	r := p.want(http.StatusCreated, "POST", p.support("/subscriptions"), terminationSubscription(p.app, callback))
	m := r.Object(t)
	require.Equal(t, "AppTerminationNotificationSubscription", m["subscriptionType"])
	require.Equal(t, callback, m["callbackReference"])
	require.Equal(t, p.app, m["appInstanceId"])
	require.Equal(t, r.Header.Get("Location"), m["_links"].(map[string]any)["self"].(map[string]any)["href"])
}

func TestAPPSUB_002_BR(t *testing.T) {
	p := begin(t, "7.2.3.3.4", "POST with an invalid subscriptionType, or for another appInstanceId than the URI's: 400")
	for _, body := range []string{
		`{"subscriptionType":"INVALID_SUBSCRIPTION_TYPE","callbackReference":"` + nowhere + `","appInstanceId":"` + p.app + `"}`,
		`{"subscription":"AppTerminationNotificationSubscription","callbackReference":"` + nowhere + `","appInstanceId":"` + p.app + `"}`,
		terminationSubscription("appInstanceId", nowhere),
	} {
		p.want(http.StatusBadRequest, "POST", p.support("/subscriptions"), body)
	}
	links := p.want(http.StatusOK, "GET", p.support("/subscriptions"), "").Object(t)["_links"].(map[string]any)
	require.Empty(t, links["subscriptions"])
}

func TestAPPSUB_003_OK(t *testing.T) {
	p := begin(t, "7.2.4.3.1", "GET one subscription: 200")
	m := p.want(http.StatusOK, "GET", p.subscribeToTermination(nowhere), "").Object(t)
	require.Equal(t, "AppTerminationNotificationSubscription", m["subscriptionType"])
	require.Equal(t, nowhere, m["callbackReference"])
	require.Equal(t, p.app, m["appInstanceId"])
	require.Contains(t, m, "_links")
}

func TestAPPSUB_003_NF(t *testing.T) {
	p := begin(t, "7.2.4.3.1", "GET an unknown subscriptionId: 404")
	p.want(http.StatusNotFound, "GET", p.support("/subscriptions/NON_EXISTENT_SUBSCRIPTION_ID"), "")
}

func TestAPPSUB_004_OK(t *testing.T) {
	p := begin(t, "7.2.4.3.5", "DELETE a subscription: 204, and it is gone")
	one := p.subscribeToTermination(nowhere)
	p.want(http.StatusNoContent, "DELETE", one, "")
	p.want(http.StatusNotFound, "GET", one, "")
}

func TestAPPSUB_004_NF(t *testing.T) {
	p := begin(t, "7.2.4.3.5", "DELETE of an unknown application, and of an unknown subscription: 404")
	p.want(http.StatusNotFound, "DELETE", supportOf(unknownApp, "/subscriptions/NON_EXISTENT_SUBSCRIPTION_ID"), "")
	p.want(http.StatusNotFound, "DELETE", p.support("/subscriptions/NON_EXISTENT_SUBSCRIPTION_ID"), "")
}

func TestOWN_ATerminationSubscriptionIsNoOther(t *testing.T) {
	p := begin(t, "7.2.4.3.1", "a subscription of one API is a 404 at the other, and in neither's list")
	mine, others := p.subscribeToTermination(nowhere), p.subscribe()
	elsewhere := func(location string) string {
		if rest, is := strings.CutPrefix(location, mp1.Base); is {
			return mp1.AppSupportBase + rest
		}
		return strings.Replace(location, mp1.AppSupportBase, mp1.Base, 1)
	}
	for _, one := range []string{mine, others} {
		p.want(http.StatusNotFound, "GET", elsewhere(one), "")
		p.want(http.StatusNotFound, "DELETE", elsewhere(one), "")
		list := strings.TrimSuffix(one, one[strings.LastIndexByte(one, '/'):])
		links := p.want(http.StatusOK, "GET", list, "").Object(t)["_links"].(map[string]any)["subscriptions"].([]any)
		require.Len(t, links, 1)
		require.Equal(t, one, links[0].(map[string]any)["href"])
	}
}
