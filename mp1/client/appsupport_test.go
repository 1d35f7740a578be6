package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAnApplicationConfirmsThatItIsReadyAndThatItMayBeTerminated(t *testing.T) {
	ctx := t.Context()
	for _, prefix := range []string{"", "/mep"} {
		root := prefix + mp1.AppSupportBase + "/applications/a"
		p := newFakePlatform(t, respond(204, ""))
		c := p.client(t, prefix)
		require.NoError(t, c.ConfirmReady(ctx, "a"))
		require.Equal(t, "POST "+root+"/confirm_ready", p.method+" "+p.uri)
		require.JSONEq(t, `{"indication":"READY"}`, p.body)
		require.NoError(t, c.ConfirmTermination(ctx, "a", mp1.Stopping))
		require.Equal(t, "POST "+root+"/confirm_termination", p.method+" "+p.uri)
		require.JSONEq(t, `{"operationAction":"STOPPING"}`, p.body)
	}
	for status, want := range map[int]error{404: ErrNotFound, 409: ErrConflict, 400: ErrInvalid} {
		c := newFakePlatform(t, respond(status, "")).client(t, "")
		require.ErrorIs(t, c.ConfirmReady(ctx, "a"), want)
		require.ErrorIs(t, c.ConfirmTermination(ctx, "a", mp1.Terminating), want)
	}
}

func TestATerminationIsBegunWithWholeSeconds(t *testing.T) {
	ctx := t.Context()
	p := newFakePlatform(t, respond(202, ""))
	c := p.client(t, "/mep")
	require.NoError(t, c.DeregisterGracefully(ctx, "a", time.Minute, IfMatch(`"1"`)))
	require.Equal(t, "DELETE /mep/mec_app_support/v1/registrations/a?graceful=60", p.method+" "+p.uri)
	p.method = ""
	for _, timeout := range []time.Duration{0, -time.Second, time.Millisecond, 1500 * time.Millisecond, 24*time.Hour + time.Second} {
		var invalid *mp1.Invalid
		require.ErrorAs(t, c.DeregisterGracefully(ctx, "a", timeout), &invalid)
	}
	require.Empty(t, p.method, "nothing was sent")
	c = newFakePlatform(t, respond(204, "")).client(t, "")
	require.Error(t, c.DeregisterGracefully(ctx, "a", time.Second), "who knows nothing of it has removed the application at once")
}

func TestASubscriptionToTheTerminationIsOneOfItsOwnAPI(t *testing.T) {
	ctx := t.Context()
	const href = "/mec_app_support/v1/applications/a/subscriptions/s1"
	const body = `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://h/cb","appInstanceId":"a","_links":{"self":{"href":"` + href + `"}}}`
	p := newFakePlatform(t, respond(201, body))
	made, err := p.client(t, "/mep").SubscribeTermination(ctx, "a", mp1.Subscription{CallbackReference: "http://h/cb",
		FilteringCriteria: &mp1.FilteringCriteria{}, Links: &mp1.SubscriptionLinks{}})
	require.NoError(t, err)
	require.Equal(t, "POST /mep/mec_app_support/v1/applications/a/subscriptions", p.method+" "+p.uri)
	require.JSONEq(t, `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://h/cb","appInstanceId":"a"}`, p.body)
	require.Equal(t, href, made.Links.Self.Href)

	p = newFakePlatform(t, respond(200, `{"_links":{"self":{"href":"/x"},"subscriptions":[{"href":"`+href+`","subscriptionType":"T"}]}}`))
	all, err := p.client(t, "").TerminationSubscriptions(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "GET /mec_app_support/v1/applications/a/subscriptions", p.method+" "+p.uri)
	require.Equal(t, []mp1.SubscriptionLink{{Href: href, SubscriptionType: "T"}}, all)
	read, err := newFakePlatform(t, respond(200, body)).client(t, "").Subscription(ctx, href)
	require.NoError(t, err)
	require.Equal(t, made, read)
}

func TestWhatIsAskedForAnIDThatIsNoneIsNotSent(t *testing.T) {
	p := newFakePlatform(t, respond(204, ""))
	c, ctx := p.client(t, ""), t.Context()
	for _, id := range []string{"", "..", "a/b", "a?b"} {
		for _, do := range []func(context.Context, string) error{
			c.ConfirmReady,
			func(ctx context.Context, id string) error { return c.ConfirmTermination(ctx, id, mp1.Stopping) },
			func(ctx context.Context, id string) error { return c.DeregisterGracefully(ctx, id, time.Second) },
			func(ctx context.Context, id string) error {
				_, err := c.SubscribeTermination(ctx, id, mp1.Subscription{})
				return err
			},
			func(ctx context.Context, id string) error { _, err := c.TerminationSubscriptions(ctx, id); return err },
		} {
			var invalid *mp1.Invalid
			require.ErrorAs(t, do(ctx, id), &invalid)
		}
	}
	require.Empty(t, p.method, "nothing was sent")
}
