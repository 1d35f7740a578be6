package client

import (
	"context"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
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

// Otherwise each start of a program leaves one more, and after some hundred starts the
// application has as many as it may.
func TestAProgramThatStartsAgainHasOneSubscription(t *testing.T) {
	const root = mp1.Base + "/applications/a/subscriptions"
	there := map[string]string{}
	for id, body := range map[string]string{
		"mine": `"callbackReference":"http://h/cb","filteringCriteria":{"serNames":["n"]}`, "all": `"callbackReference":"http://h/cb"`,
		"elsewhere": `"callbackReference":"http://h/other","filteringCriteria":{"serNames":["n"]}`, "twin": `"callbackReference":"http://h/cb","filteringCriteria":{"serNames":["n"],"states":[]}`,
	} {
		there[id] = `{"subscriptionType":"SerAvailabilityNotificationSubscription",` + body + `,"_links":{"self":{"href":"` + root + "/" + id + `"}}}`
	}
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		id := path.Base(r.URL.Path)
		switch {
		case r.Method == http.MethodPost:
			there["new"] = `{"callbackReference":"http://h/cb","_links":{"self":{"href":"` + root + `/new"}}}`
			respond(201, there["new"])(w, r)
		case r.URL.Path == root:
			links := []string{`{"href":"` + root + `/ended"}`}
			for id := range there {
				links = append(links, `{"href":"`+root+"/"+id+`"}`)
			}
			respond(200, `{"_links":{"self":{"href":"`+root+`"},"subscriptions":[`+strings.Join(links, ",")+`]}}`)(w, r)
		case there[id] == "":
			respond(404, "")(w, r)
		case r.Method == http.MethodDelete:
			delete(there, id)
			w.WriteHeader(http.StatusNoContent)
		default:
			respond(200, there[id])(w, r)
		}
	})
	mine := mp1.Subscription{CallbackReference: "http://h/cb", FilteringCriteria: &mp1.FilteringCriteria{SerNames: []string{"n"}, States: []mp1.State{}}}
	made, err := p.client(t, "").Resubscribe(t.Context(), "a", mine)
	require.NoError(t, err)
	require.Equal(t, root+"/new", made.Links.Self.Href)
	require.ElementsMatch(t, []string{"all", "elsewhere", "new"}, slices.Collect(maps.Keys(there)), "those of others, and of other criteria, stay")
	made, err = p.client(t, "").Resubscribe(t.Context(), "a", mp1.Subscription{CallbackReference: "http://h/cb", FilteringCriteria: &mp1.FilteringCriteria{}})
	require.NoError(t, err)
	require.Equal(t, root+"/new", made.Links.Self.Href)
	require.ElementsMatch(t, []string{"elsewhere", "new"}, slices.Collect(maps.Keys(there)), "no criteria and empty ones are the same")
}

func TestResubscribingStopsAtTheFirstError(t *testing.T) {
	for _, status := range []int{404, 503} { // EdgeGallery has no empty list
		p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				respond(status, "")(w, r)
				return
			}
			respond(201, `{"callbackReference":"http://h/cb"}`)(w, r)
		})
		_, err := p.client(t, "").Resubscribe(t.Context(), "a", mp1.Subscription{CallbackReference: "http://h/cb"})
		if status == 404 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrUnavailable)
		require.Equal(t, "GET", p.method, "it does not subscribe while it does not know")
	}
}
