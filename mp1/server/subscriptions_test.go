package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// fakeSubscriptions answers what a test sets; "s1" of "app" is the one that exists.
type fakeSubscriptions struct {
	err       error
	empty     bool
	prefix    string
	ended     string
	asked     mp1.Subscription // of the one that exists; the zero value: anySubscription
	connected string
}

var anySubscription = mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://127.0.0.1:1/cb"}

func (d *fakeSubscriptions) Subscribe(_ context.Context, app, prefix string, s mp1.Subscription) (*Subscription, error) {
	d.prefix = prefix
	return &Subscription{ID: "s1", Owner: app, Asked: s}, d.err
}

func (d *fakeSubscriptions) Subscription(_ context.Context, app, id string) (*Subscription, error) {
	if app != "app" || id != "s1" {
		return nil, ErrNoSubscription
	}
	asked := anySubscription
	if d.asked.SubscriptionType != "" {
		asked = d.asked
	}
	return &Subscription{ID: "s1", Owner: app, Asked: asked}, d.err
}

func (d *fakeSubscriptions) SubscriptionsOf(_ context.Context, app string) ([]*Subscription, error) {
	if d.empty {
		return nil, d.err
	}
	return []*Subscription{{ID: "s1", Owner: app}, {ID: "s2", Owner: app}}, d.err
}

func (d *fakeSubscriptions) Unsubscribe(_ context.Context, _, id string) error {
	d.ended = id
	return d.err
}

func (d *fakeSubscriptions) Connect(w http.ResponseWriter, _ *http.Request, app, id string) error {
	d.connected = app + "/" + id
	w.WriteHeader(http.StatusSwitchingProtocols)
	return d.err
}

func ask(d *fakeSubscriptions, o Options, method, path string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	m := http.NewServeMux()
	o.Subscriptions, o.RetryAfter = d, 3
	for _, r := range Routes(newFakeRegistry(), o) {
		m.Handle(r.Pattern, r.Handler)
	}
	r := httptest.NewRequest(method, path, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

const subscriptions = mp1.Base + "/applications/app/subscriptions"

const askedFor = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:1/cb"}`

func TestASubscriptionIsShownWithItsLinksUnderThePrefixOfTheRequest(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		d := &fakeSubscriptions{}
		made := ask(d, Options{}, "POST", prefix+subscriptions, strings.NewReader(askedFor))
		require.Equal(t, 201, made.Code)
		require.Equal(t, prefix, d.prefix)
		require.Equal(t, prefix+subscriptions+"/s1", made.Header().Get("Location"))
		require.JSONEq(t, `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:1/cb",
			"_links":{"self":{"href":"`+prefix+subscriptions+`/s1"}}}`, made.Body.String())
		got := ask(d, Options{}, "GET", prefix+subscriptions+"/s1", nil)
		require.Equal(t, 200, got.Code)
		require.Equal(t, made.Body.String(), got.Body.String())
		require.Equal(t, made.Header().Get("ETag"), got.Header().Get("ETag"))
		require.NotEmpty(t, got.Header().Get("ETag"))
		all := ask(d, Options{}, "GET", prefix+subscriptions, nil)
		require.Equal(t, 200, all.Code)
		entry := func(id string) string {
			return `{"href":"` + prefix + subscriptions + `/` + id + `","subscriptionType":"SerAvailabilityNotificationSubscription","rel":"SerAvailabilityNotificationSubscription"}`
		}
		require.JSONEq(t, `{"_links":{"self":{"href":"`+prefix+subscriptions+`"},"subscriptions":[`+entry("s1")+`,`+entry("s2")+`]}}`, all.Body.String())
	}
}

const terminations = mp1.AppSupportBase + "/applications/app/subscriptions"

// Each of the two APIs serves the subscriptions of its own type, and says no word of those of
// the other.
func TestEachAPIServesTheSubscriptionsOfItsType(t *testing.T) {
	const asked = `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://127.0.0.1:1/cb","appInstanceId":"app"}`
	for _, prefix := range []string{"", "/mep"} {
		d, other := &fakeSubscriptions{}, &fakeSubscriptions{err: heartbeat.ErrFull}
		o := Options{TerminationSubscriptions: d}
		made := ask(other, o, "POST", prefix+terminations, strings.NewReader(asked))
		require.Equal(t, 201, made.Code)
		require.Equal(t, prefix, d.prefix)
		require.Equal(t, prefix+terminations+"/s1", made.Header().Get("Location"))
		require.JSONEq(t, `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://127.0.0.1:1/cb","appInstanceId":"app",
			"_links":{"self":{"href":"`+prefix+terminations+`/s1"}}}`, made.Body.String())
		all := ask(other, o, "GET", prefix+terminations, nil)
		require.Equal(t, 200, all.Code)
		require.Contains(t, all.Body.String(), `{"self":{"href":"`+prefix+terminations+`"}`)
		require.Contains(t, all.Body.String(), `"subscriptionType":"AppTerminationNotificationSubscription","rel":"AppTerminationNotificationSubscription"`)
		require.Equal(t, 204, ask(other, o, "DELETE", prefix+terminations+"/s1", nil).Code)
		require.Equal(t, "s1", d.ended)
		require.Equal(t, 400, ask(other, o, "POST", prefix+terminations, strings.NewReader(askedFor)).Code, "of the other type")
		require.Equal(t, 400, ask(other, o, "POST", prefix+subscriptions, strings.NewReader(asked)).Code)
		require.Empty(t, other.ended)
	}
	foreign := strings.Replace(asked, `"app"`, `"other"`, 1)
	w := ask(&fakeSubscriptions{}, Options{TerminationSubscriptions: &fakeSubscriptions{}}, "POST", terminations, strings.NewReader(foreign))
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "appInstanceId")
	require.Equal(t, 404, ask(&fakeSubscriptions{}, Options{}, "GET", terminations, nil).Code, "without anybody who keeps them there is no such resource")
}

func TestAnEmptyListIsAnAnswerUnlessEdgeGallerysClientsAsk(t *testing.T) {
	w := ask(&fakeSubscriptions{empty: true}, Options{}, "GET", subscriptions, nil)
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"_links":{"self":{"href":"`+subscriptions+`"},"subscriptions":[]}}`, w.Body.String())
	require.Equal(t, 404, ask(&fakeSubscriptions{empty: true}, Options{NoEmptySubscriptions: true}, "GET", subscriptions, nil).Code)
}

func TestSubscriptionsAreRefusedAsTheTableSays(t *testing.T) {
	for err, status := range map[error]int{ErrSubscriptionLimit: 403, heartbeat.ErrFull: 507, heartbeat.ErrUnavailable: 503, ErrNoSubscription: 404,
		&mp1.Invalid{Attribute: "callbackReference", Rule: "no"}: 400} {
		w := ask(&fakeSubscriptions{err: err}, Options{}, "POST", subscriptions, strings.NewReader(askedFor))
		require.Equal(t, status, w.Code, err)
		var p mp1.ProblemDetails
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, status, p.Status)
		require.NotContains(t, p.Detail, "service instance", err)
	}
	require.Equal(t, 400, ask(&fakeSubscriptions{err: ErrSubscriptionLimit}, Options{LimitStatus: 400}, "POST", subscriptions, strings.NewReader(askedFor)).Code)
	require.Equal(t, 400, ask(&fakeSubscriptions{}, Options{}, "POST", subscriptions, strings.NewReader(`{}`)).Code)
	require.Equal(t, 413, ask(&fakeSubscriptions{}, Options{MaxBody: 10}, "POST", subscriptions, strings.NewReader(askedFor)).Code)
	require.Equal(t, 415, ask(&fakeSubscriptions{}, Options{}, "POST", subscriptions, strings.NewReader(askedFor), "Content-Type", "text/xml").Code)
	require.Equal(t, 400, ask(&fakeSubscriptions{}, Options{}, "GET", subscriptions+"?a=b", nil).Code)
}

func TestASubscriptionEndsForItsOwnerOnly(t *testing.T) {
	etag := ask(&fakeSubscriptions{}, Options{}, "GET", subscriptions+"/s1", nil).Header().Get("ETag")
	foreign := mp1.Base + "/applications/other/subscriptions/s1"
	for _, c := range []struct {
		path, match string
		status      int
		ended       string
	}{
		{subscriptions + "/s1", "", 204, "s1"}, {subscriptions + "/s1", etag, 204, "s1"}, {subscriptions + "/s1", `"x"`, 412, ""},
		{foreign, "", 404, ""}, {subscriptions + "/s2", "", 404, ""}, {subscriptions + "/a%2Fb", "", 404, ""}, {mp1.Base + "/applications/stranger/subscriptions/s1", "", 404, ""},
	} {
		d := &fakeSubscriptions{}
		var header []string
		if c.match != "" {
			header = []string{"If-Match", c.match}
		}
		require.Equal(t, c.status, ask(d, Options{}, "DELETE", c.path, nil, header...).Code, c.path)
		require.Equal(t, c.ended, d.ended, c.path)
	}
	require.Equal(t, 404, ask(&fakeSubscriptions{}, Options{}, "GET", foreign, nil).Code)
	require.Equal(t, "GET, HEAD, POST", ask(&fakeSubscriptions{}, Options{}, "PUT", subscriptions, nil).Header().Get("Allow"))
	require.Equal(t, "DELETE, GET, HEAD", ask(&fakeSubscriptions{}, Options{}, "PUT", subscriptions+"/s1", nil).Header().Get("Allow"))
}
