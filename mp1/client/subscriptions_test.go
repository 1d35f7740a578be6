package client

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestASubscriptionIsMadeListedReadAndEnded(t *testing.T) {
	ctx := context.Background()
	const href = "/mec_service_mgmt/v1/applications/a/subscriptions/s1"
	const body = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://h/cb","_links":{"self":{"href":"` + href + `"}},
		"filteringCriteria":{"states":["SUSPENDED"]}}`
	p := newFakePlatform(t, respond(201, body))
	made, err := p.client(t, "/mep").Subscribe(ctx, "a", mp1.Subscription{CallbackReference: "http://h/cb", FilteringCriteria: &mp1.FilteringCriteria{States: []mp1.State{mp1.Suspended}},
		Links: &mp1.SubscriptionLinks{}})
	require.NoError(t, err)
	require.Equal(t, "POST /mep/mec_service_mgmt/v1/applications/a/subscriptions", p.method+" "+p.uri)
	require.JSONEq(t, `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://h/cb","filteringCriteria":{"states":["SUSPENDED"]}}`, p.body)
	require.Equal(t, href, made.Links.Self.Href)

	p = newFakePlatform(t, respond(200, body))
	read, err := p.client(t, "").Subscription(ctx, href)
	require.NoError(t, err)
	require.Equal(t, "GET "+href, p.method+" "+p.uri)
	require.Equal(t, made, read)

	p = newFakePlatform(t, respond(200, `{"_links":{"self":{"href":"/x"},"subscriptions":[{"href":"`+href+`","subscriptionType":"T"}]}}`))
	all, err := p.client(t, "").Subscriptions(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, []mp1.SubscriptionLink{{Href: href, SubscriptionType: "T"}}, all)

	p = newFakePlatform(t, respond(204, ""))
	require.NoError(t, p.client(t, "").Unsubscribe(ctx, href))
	require.Equal(t, "DELETE "+href, p.method+" "+p.uri)
}

func TestASubscriptionIsAskedForOnlyWhereThePlatformIs(t *testing.T) {
	p := newFakePlatform(t, respond(500, ""))
	c := p.client(t, "")
	_, err := c.Subscribe(t.Context(), "a/b", mp1.Subscription{})
	require.Error(t, err)
	_, err = c.Subscriptions(t.Context(), "")
	require.Error(t, err)
	_, err = c.Subscription(t.Context(), "http://elsewhere.example/x")
	require.ErrorIs(t, err, errForeign)
	require.ErrorIs(t, c.Unsubscribe(t.Context(), "x"), errHref)
	require.Empty(t, p.method, "nothing was sent")
}
