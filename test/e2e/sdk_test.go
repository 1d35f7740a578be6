package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	sdk "github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

func newClient(t *testing.T, s *mep.Server) *sdk.Client {
	t.Helper()
	c, err := sdk.New(sdk.Options{BaseURL: s.URL})
	require.NoError(t, err)
	t.Cleanup(c.CloseIdle)
	return c
}

// What the platform sends is taken once: after a failure of the consumer it comes again
// under the same id, and a consumer that starts again keeps its subscription.
func TestAConsumerOfTheSDKIsToldOnce(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	c := newClient(t, s)
	var mu sync.Mutex
	var told []mp1.ServiceReference
	calls := 0
	callback := httptest.NewServer(sdk.NewNotifications(func(_ context.Context, n mp1.Notification) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls == 1 {
			return errors.New("not yet")
		}
		told = append(told, n.ServiceReferences...)
		return nil
	}))
	defer callback.Close()
	asked := mp1.Subscription{CallbackReference: callback.URL + "/cb", FilteringCriteria: &mp1.FilteringCriteria{SerNames: []string{"face"}, States: []mp1.State{mp1.Active}}}
	made, err := c.Resubscribe(t.Context(), "watcher", asked)
	require.NoError(t, err)
	again, err := c.Resubscribe(t.Context(), "watcher", asked)
	require.NoError(t, err)
	require.NotEqual(t, made, again)
	made = again
	all, err := c.Subscriptions(t.Context(), "watcher")
	require.NoError(t, err)
	require.Len(t, all, 1)

	v := s.Register("app-1", "face", 60)
	s.Register("app-1", "other", 60)
	wait.Until(t, "told after the failure", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 0 })
	mu.Lock()
	require.Equal(t, 2, calls)
	require.Len(t, told, 1)
	require.Equal(t, v.ID, told[0].SerInstanceID)
	require.Equal(t, mp1.Added, told[0].ChangeType)
	mu.Unlock()

	var tag string
	_, err = c.Subscription(t.Context(), made.Links.Self.Href, sdk.ETag(&tag))
	require.NoError(t, err)
	require.ErrorIs(t, c.Unsubscribe(t.Context(), made.Links.Self.Href, sdk.IfMatch(`"another"`)), sdk.ErrStale)
	require.NoError(t, c.Unsubscribe(t.Context(), made.Links.Self.Href, sdk.IfMatch(tag)))
	require.ErrorIs(t, c.Unsubscribe(t.Context(), made.Links.Self.Href), sdk.ErrNotFound)
}

// A function that ends its subscription is not asked again.
func TestAConsumerOfTheSDKEndsItsSubscription(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	c := newClient(t, s)
	var calls atomic.Int32
	var ends atomic.Bool
	ends.Store(true)
	callback := httptest.NewServer(sdk.NewNotifications(func(context.Context, mp1.Notification) error {
		calls.Add(1)
		if ends.Load() {
			return sdk.ErrEndSubscription
		}
		return nil
	}))
	defer callback.Close()
	asked := mp1.Subscription{CallbackReference: callback.URL}
	_, err := c.Subscribe(t.Context(), "watcher", asked)
	require.NoError(t, err)
	s.Register("app-1", "face", 60)
	wait.Until(t, "told", func() bool { return calls.Load() == 1 })
	ends.Store(false)
	_, err = c.Resubscribe(t.Context(), "watcher", asked)
	require.NoError(t, err)
	s.Register("app-1", "plate", 60)
	wait.Until(t, "told again, by the new one", func() bool { return calls.Load() == 2 })
	all, err := c.Subscriptions(t.Context(), "watcher")
	require.NoError(t, err)
	require.Len(t, all, 1)
}

// Each kind of refusal is told apart, also where two have the same status.
func TestTheSDKTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	yes := mp1.ServiceInfo{SerName: "n", Version: "1", State: mp1.Active, Serializer: "JSON", TransportID: "rest-http"}
	for _, env := range [][]string{nil, {"MEP_COMPAT=edgegallery"}} {
		callback := httptest.NewServer(nil)
		defer callback.Close()
		s := mep.Start(t, append(append([]string{"MEP_APPLICATIONS_MAX_SERVICES=2"}, mep.Fast...), env...)...)
		c := newClient(t, s)
		require.NoError(t, yes.Validate())
		one, err := c.Register(t.Context(), "a", yes)
		require.NoError(t, err)
		_, err = c.Register(t.Context(), "a", yes)
		require.NoError(t, err)
		_, err = c.Register(t.Context(), "a", yes)
		require.ErrorIs(t, err, sdk.ErrLimit, "%v", env)
		err = c.Remove(t.Context(), "b", one.SerInstanceID)
		require.True(t, errors.Is(err, sdk.ErrForbidden) || errors.Is(err, sdk.ErrNotFound), "%v", err)
		require.NotErrorIs(t, err, sdk.ErrLimit)
		_, err = c.Register(t.Context(), "c", mp1.ServiceInfo{})
		require.ErrorIs(t, err, sdk.ErrInvalid)
		_, err = c.Service(t.Context(), "unknown")
		require.ErrorIs(t, err, sdk.ErrNotFound)
		_, err = c.Resubscribe(t.Context(), "a", mp1.Subscription{CallbackReference: callback.URL})
		require.NoError(t, err)

		var tag string
		shown, err := c.ApplicationService(t.Context(), "a", one.SerInstanceID, sdk.ETag(&tag))
		require.NoError(t, err)
		require.NotEmpty(t, tag)
		shown.State = mp1.Inactive
		var after string
		_, err = c.Update(t.Context(), "a", one.SerInstanceID, shown, sdk.IfMatch(tag), sdk.ETag(&after))
		require.NoError(t, err)
		require.ErrorIs(t, c.Remove(t.Context(), "a", one.SerInstanceID, sdk.IfMatch(tag)), sdk.ErrStale)
		require.NoError(t, c.Remove(t.Context(), "a", one.SerInstanceID, sdk.IfMatch(after)))
	}
}

func TestAnApplicationRegistersByTheSDK(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append([]string{"MEP_APPLICATIONS_ADMISSION=registered"}, mep.Fast...)...)
	c := newClient(t, s)
	beats := 60
	info := mp1.ServiceInfo{SerName: "n", Version: "1", State: mp1.Active, Serializer: "JSON", TransportID: "rest-http", LivenessInterval: &beats}
	_, err := c.Register(t.Context(), "app", info)
	require.ErrorIs(t, err, sdk.ErrNotFound)
	var tag string
	made, err := c.RegisterApplication(t.Context(), mp1.AppInfo{AppName: "n", AppInstanceID: "app"}, sdk.ETag(&tag))
	require.NoError(t, err)
	_, err = c.RegisterApplication(t.Context(), made)
	require.ErrorIs(t, err, sdk.ErrConflict)
	service, err := c.Register(t.Context(), "app", info)
	require.NoError(t, err)
	_, err = c.Beat(t.Context(), sdk.LivenessHref(service))
	require.NoError(t, err)
	made.AppName = "m"
	require.NoError(t, c.UpdateApplication(t.Context(), "app", made, sdk.IfMatch(tag)))
	require.ErrorIs(t, c.DeregisterApplication(t.Context(), "app", sdk.IfMatch(tag)), sdk.ErrStale)
	read, err := c.Registration(t.Context(), "app", sdk.ETag(&tag))
	require.NoError(t, err)
	require.Equal(t, "m", read.AppName)
	require.NoError(t, c.DeregisterApplication(t.Context(), "app", sdk.IfMatch(tag)))
	_, err = c.Service(t.Context(), service.SerInstanceID)
	require.ErrorIs(t, err, sdk.ErrNotFound, "its services go with it")
}

// Somebody whose registrations are many and large reads them all (findings G4).
func TestAListOfManyMegabytesIsRead(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append([]string{"MEP_LIMITS_BYTES_PER_SECOND=0"}, mep.Fast...)...)
	c, err := sdk.New(sdk.Options{BaseURL: s.URL, HTTPClient: &http.Client{Timeout: time.Minute}})
	require.NoError(t, err)
	defer c.CloseIdle()
	large := mp1.ServiceInfo{SerName: "n", Version: "1", State: mp1.Active, Serializer: "JSON", TransportInfo: &mp1.TransportInfo{ID: "i", Name: "n", Type: "REST_HTTP", Protocol: "p", Version: "1",
		Endpoint: mp1.EndPointInfo{URIs: []string{"http://h"}}, ImplSpecificInfo: []byte(`{"x":"` + string(make60k()) + `"}`)}}
	const services = 160
	for range services {
		_, err := registerPatiently(t.Context(), c, large)
		require.NoError(t, err)
	}
	n, began := 0, time.Now()
	for one, err := range c.EachApplicationService(t.Context(), "a", mp1.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, "n", one.SerName)
		n++
	}
	require.Equal(t, services, n)
	t.Logf("%d services of 60 KiB listed in %s", n, time.Since(began))
}

func make60k() []byte {
	b := make([]byte, 60<<10)
	for i := range b {
		b[i] = '<' // encoding/json writes six bytes, unless it is told not to
	}
	return b
}

// registerPatiently registers, and waits for as long as the platform asks.
func registerPatiently(ctx context.Context, c *sdk.Client, info mp1.ServiceInfo) (mp1.ServiceInfo, error) {
	for {
		out, err := c.Register(ctx, "a", info)
		var p *sdk.Problem
		if !errors.As(err, &p) || p.RetryAfter == 0 {
			return out, err
		}
		time.Sleep(p.RetryAfter)
	}
}
