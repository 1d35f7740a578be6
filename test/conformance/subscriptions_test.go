package conformance

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
)

// newConsumer is the suite's small web server. Whatever it is sent must be a notification.
func newConsumer(t *testing.T) *consumer.Consumer {
	c := consumer.Start(t)
	t.Cleanup(func() { require.Empty(t, c.Faults()) })
	return c
}

func subscriptionTo(callback, criteria string) string {
	if criteria != "" {
		criteria = `,"filteringCriteria":` + criteria
	}
	return `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"` + callback + `","_links":{"self":{"href":"http://example.com/self"}}` + criteria + `}`
}

const nowhere = "http://127.0.0.1:9/nobody"

func (p *platform) subscribe() string {
	p.t.Helper()
	return p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(nowhere, "")).Header.Get("Location")
}

func TestSRVSUB_001_OK(t *testing.T) {
	p := begin(t, "8.2.8.3.1", "GET /applications/{a}/subscriptions: 200, a link list with _links.self")
	one := p.subscribe()
	links := p.want(http.StatusOK, "GET", p.of("/subscriptions"), "").Object(t)["_links"].(map[string]any)
	require.Equal(t, p.of("/subscriptions"), links["self"].(map[string]any)["href"])
	list := links["subscriptions"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, one, list[0].(map[string]any)["href"])
	require.Equal(t, "SerAvailabilityNotificationSubscription", list[0].(map[string]any)["subscriptionType"])
}

func TestSRVSUB_001_NF(t *testing.T) {
	p := begin(t, "8.2.8.3.1", "GET of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "GET", mep.SubscriptionsOf(unknownApp), "")
}

func TestSRVSUB_002_OK(t *testing.T) {
	p := begin(t, "8.2.8.3.4", "POST a subscription with _links: 201, Location, _links, subscriptionType and callbackReference as posted")
	r := p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(nowhere, ""))
	m := r.Object(t)
	require.Equal(t, "SerAvailabilityNotificationSubscription", m["subscriptionType"])
	require.Equal(t, nowhere, m["callbackReference"])
	require.Equal(t, r.Header.Get("Location"), m["_links"].(map[string]any)["self"].(map[string]any)["href"])
}

func TestSRVSUB_002_BR(t *testing.T) {
	p := begin(t, "8.2.8.3.4", "POST with subscription instead of subscriptionType, and with an invalid type: 400")
	p.want(http.StatusBadRequest, "POST", p.of("/subscriptions"), `{"subscription":"SerAvailabilityNotificationSubscription","callbackReference":"`+nowhere+`"}`)
	p.want(http.StatusBadRequest, "POST", p.of("/subscriptions"), `{"subscriptionType":"INVALID_SUBSCRIPTION","callbackReference":"`+nowhere+`"}`)
}

func TestSRVSUB_003_OK(t *testing.T) {
	p := begin(t, "8.2.9.3.1", "GET one subscription: 200")
	m := p.want(http.StatusOK, "GET", p.subscribe(), "").Object(t)
	require.Equal(t, "SerAvailabilityNotificationSubscription", m["subscriptionType"])
}

func TestSRVSUB_003_NF(t *testing.T) {
	p := begin(t, "8.2.9.3.1", "GET an unknown subscriptionId: 404")
	p.want(http.StatusNotFound, "GET", p.of("/subscriptions/NON_EXISTENT_SUBSCRIPTION_ID"), "")
}

func TestSRVSUB_004_OK(t *testing.T) {
	p := begin(t, "8.2.9.3.5", "DELETE a subscription: 204, and it is gone")
	one := p.subscribe()
	p.want(http.StatusNoContent, "DELETE", one, "")
	p.want(http.StatusNotFound, "GET", one, "")
}

func TestSRVSUB_004_NF(t *testing.T) {
	p := begin(t, "8.2.9.3.5", "DELETE of an unknown application, and of an unknown subscription: 404")
	p.want(http.StatusNotFound, "DELETE", mep.SubscriptionsOf(unknownApp)+"/NON_EXISTENT_SUBSCRIPTION_ID", "")
	p.want(http.StatusNotFound, "DELETE", p.of("/subscriptions/NON_EXISTENT_SUBSCRIPTION_ID"), "")
}
