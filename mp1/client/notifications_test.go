package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const notificationJSON = `{"notificationType":"SerAvailabilityNotification","serviceReferences":[{"link":{"href":"/l"},"serName":"n","serInstanceId":"id1","state":"SUSPENDED",
	"changeType":"STATE_CHANGED"}],"_links":{"subscription":{"href":"/s"}}}`

// notify sends a notification to a handler and returns the status of the answer.
func notify(ctx context.Context, h http.Handler, id, body string) int {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if id != "" {
		r.Header.Set("Webhook-Id", id)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestANotificationIsHandedOverOnce(t *testing.T) {
	var got []mp1.Notification
	var fails error
	h := NewNotifications(func(ctx context.Context, n mp1.Notification) error {
		require.Contains(t, []string{"", "a", "b", "c"}, WebhookID(ctx))
		got = append(got, n)
		return fails
	})
	fails = errors.New("no room")
	require.Equal(t, 503, notify(t.Context(), h, "a", notificationJSON))
	require.Equal(t, 503, notify(t.Context(), h, "a", notificationJSON))
	require.Len(t, got, 2, "an id counts only when the function has succeeded")
	fails = nil
	for range 3 {
		require.Equal(t, 204, notify(t.Context(), h, "a", notificationJSON))
	}
	require.Len(t, got, 3)
	require.Equal(t, mp1.Notification{NotificationType: mp1.NotificationType, Links: mp1.NotificationLinks{Subscription: mp1.LinkType{Href: "/s"}},
		ServiceReferences: []mp1.ServiceReference{{Link: &mp1.LinkType{Href: "/l"}, SerName: "n", SerInstanceID: "id1", State: mp1.Suspended, ChangeType: mp1.StateChanged}}}, got[2])
	require.Equal(t, 204, notify(t.Context(), h, "b", notificationJSON))
	require.Len(t, got, 4)
	for range 2 {
		require.Equal(t, 204, notify(t.Context(), h, "", notificationJSON))
	}
	require.Len(t, got, 6, "without an id nothing is known to be the same")
	fails = fmt.Errorf("enough: %w", ErrEndSubscription)
	require.Equal(t, 410, notify(t.Context(), h, "c", notificationJSON))
}

// A platform that waits no longer sends the notification again while it is still handled.
func TestARepetitionWaitsForTheOneThatIsBeingHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		var fails atomic.Bool
		fails.Store(true)
		h := NewNotifications(func(context.Context, mp1.Notification) error {
			calls.Add(1)
			failed := fails.Load()
			time.Sleep(time.Second)
			if failed {
				return errors.New("it failed")
			}
			return nil
		})
		answers := make(chan int, 4)
		send := func(ctx context.Context, id string) { go func() { answers <- notify(ctx, h, id, notificationJSON) }() }
		send(t.Context(), "a")
		synctest.Wait()
		fails.Store(false)
		send(t.Context(), "a")
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		send(short, "a")
		require.Equal(t, 503, <-answers, "who waits no longer is told nothing else")
		require.Equal(t, 503, <-answers, "the first one failed")
		require.Equal(t, 204, <-answers, "so the repetition was handled")
		require.EqualValues(t, 2, calls.Load())
		send(t.Context(), "b")
		send(t.Context(), "c")
		synctest.Wait()
		require.EqualValues(t, 4, calls.Load(), "other notifications are handled at the same time")
		require.Equal(t, []int{204, 204}, []int{<-answers, <-answers})
	})
}

func TestAFunctionThatPanicsDoesNotHoldItsNotificationBack(t *testing.T) {
	panics := true
	h := NewNotifications(func(context.Context, mp1.Notification) error {
		if panics {
			panic("the function's fault")
		}
		return nil
	})
	require.Panics(t, func() { notify(t.Context(), h, "a", notificationJSON) })
	panics = false
	require.Equal(t, 204, notify(t.Context(), h, "a", notificationJSON))
	require.Empty(t, h.running)
}

func TestIDsAreRememberedUpToABound(t *testing.T) {
	calls := 0
	h := NewNotifications(nil)
	const n = 2*rememberedIDs + 10
	count := func(context.Context) error { calls++; return nil }
	for i := range n {
		require.NoError(t, h.take(t.Context(), fmt.Sprint(i), count))
	}
	require.Equal(t, n, calls)
	require.Len(t, h.handled, rememberedIDs)
	require.Len(t, h.oldest, rememberedIDs)
	require.NoError(t, h.take(t.Context(), fmt.Sprint(n-rememberedIDs), count))
	require.Equal(t, n, calls, "the oldest that is remembered")
	require.NoError(t, h.take(t.Context(), fmt.Sprint(n-rememberedIDs-1), count))
	require.Equal(t, n+1, calls)
}

func TestWhatIsNoNotificationIsRefused(t *testing.T) {
	h := NewNotifications(func(context.Context, mp1.Notification) error { panic("it was handed over") })
	for body, want := range map[string]int{
		"": 400, "{": 400, "[]": 400, "{}": 400, `{"notificationType":"AppTerminationNotification"}`: 400, notificationJSON + notificationJSON: 400,
		strings.Replace(notificationJSON, `"n"`, `"`+strings.Repeat("n", maxNotification)+`"`, 1): 413,
	} {
		require.Equal(t, want, notify(t.Context(), h, "a", body), "%.40q", body)
	}
	require.Equal(t, 400, notify(t.Context(), h, strings.Repeat("a", maxWebhookID+1), notificationJSON))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 405, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))
	for _, kind := range []string{"", "text/plain", "/"} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(notificationJSON))
		r.Header.Set("Content-Type", kind)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 415, w.Code)
	}
}

const terminationJSON = `{"notificationType":"AppTerminationNotification","operationAction":"TERMINATING","maxGracefulTimeout":30,"_links":{
	"subscription":{"href":"/mec_app_support/v1/applications/a/subscriptions/s1"},"confirmTermination":{"href":"/mec_app_support/v1/applications/a/confirm_termination"}}}`

func TestATerminationIsHandedOverOnce(t *testing.T) {
	var got []mp1.TerminationNotification
	var fails error
	h := NewNotifications(nil, OfApplication("a"), OnTermination(func(_ context.Context, n mp1.TerminationNotification) error {
		got = append(got, n)
		return fails
	}))
	fails = errors.New("not now")
	require.Equal(t, 503, notify(t.Context(), h, "a", terminationJSON))
	fails = nil
	for range 3 {
		require.Equal(t, 204, notify(t.Context(), h, "a", terminationJSON))
	}
	require.Len(t, got, 2, "an id counts only when the function has succeeded")
	require.Equal(t, mp1.Terminating, got[1].OperationAction)
	require.EqualValues(t, 30, got[1].MaxGracefulTimeout)
	require.Equal(t, "/mec_app_support/v1/applications/a/confirm_termination", got[1].Links.ConfirmTermination.Href)
	require.Equal(t, 403, notify(t.Context(), h, "b", strings.Replace(terminationJSON, "applications/a/subscriptions", "applications/other/subscriptions", 1)))
	require.Equal(t, 400, notify(t.Context(), h, "c", notificationJSON), "nobody takes changes of services")
	require.Equal(t, 400, notify(t.Context(), h, "d", strings.Replace(terminationJSON, "30", `"30"`, 1)))
	require.Len(t, got, 2)
}

// A platform tries a callback before it accepts the subscription, and the answer must be 204.
func TestATestNotificationIsTakenAndHandedToNobody(t *testing.T) {
	h := NewNotifications(nil, OfApplication("a"))
	for _, base := range []string{"/mec_app_support/v1", "/mep/mec_service_mgmt/v1"} {
		body := `{"notificationType":"TestNotification","_links":{"subscription":{"href":"` + base + `/applications/a/subscriptions/s1"}}}`
		require.Equal(t, 204, notify(t.Context(), h, "t", body))
		require.Equal(t, 403, notify(t.Context(), h, "t", strings.Replace(body, "/a/", "/b/", 1)))
	}
}
