package notify

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// outbox is what this plugin asks the base for.
type outbox interface {
	plugins.Outbox
	Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error)
	Renew(ctx context.Context, l heartbeat.LeaseID) (int, error)
	Revoke(ctx context.Context, l heartbeat.LeaseID) error
}

// fakeBase is a base plugin over the store in memory, which is shown when shown is closed.
type fakeBase struct {
	outbox
	nothingElse
	mux       http.ServeMux
	replicas  int
	shown     chan struct{}
	following sync.WaitGroup
}

// nothingElse stands one level deeper than outbox, whose methods are used in its place.
type nothingElse struct{ plugins.Base }

func (b *fakeBase) Alone() bool           { return true }
func (b *fakeBase) Replicas() int         { return b.replicas }
func (b *fakeBase) Handler() http.Handler { return &b.mux }

func (b *fakeBase) Handle(pattern, _ string, _ server.Access, h http.Handler) {
	b.mux.Handle(pattern, h)
}

func (b *fakeBase) FollowOutbox(ctx context.Context, r plugins.OutboxReader, failed func(string, error)) {
	b.following.Add(1)
	defer b.following.Done()
	select {
	case <-b.shown:
	case <-ctx.Done():
		return
	}
	failed("the watch was cut", errors.New("broken pipe"))
	b.outbox.FollowOutbox(ctx, r, failed)
	failed("the process stops", ctx.Err())
}

// series are the metrics there are, with their values if they are gauges without labels.
func series() map[string]float64 {
	all, _ := prometheus.DefaultGatherer.Gather()
	values := map[string]float64{}
	for _, f := range all {
		values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return values
}

// The platform is not ready before it knows who has subscribed; then it has what others
// build on, and its metrics go with it.
func TestTheServerIsReadyOnceTheOutboxIsLoaded(t *testing.T) {
	var out bytes.Buffer
	kept := newFakeStore()
	kept.size = 500
	b := &fakeBase{outbox: kept.link(), replicas: 1, shown: make(chan struct{})}
	h := &plugins.Host{Log: plugins.NewLog(&out, "INFO"), Base: b, LogDropped: func() uint64 { return 0 }, Config: conf.Default()}
	h.Config.Server.Listen, h.Config.Store.DataDir = "127.0.0.1:0", t.TempDir()
	others := false
	h.Ready = func() bool { return others }
	check := plugins.Plugin{Name: "check", Setup: func(context.Context, *plugins.Host) (func(context.Context) error, error) {
		assert.False(t, h.Ready()) // not require: Run waits for this goroutine
		others = true
		assert.False(t, h.Ready(), "its own list is missing")
		close(b.shown)
		return nil, nil
	}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	require.NoError(t, plugins.Run(ctx, h, []plugins.Plugin{Plugin(), check}, func(net.Addr) {
		require.True(t, h.Ready())
		others = false
		require.False(t, h.Ready(), "nor without the lists of others")
		s, err := h.Subscriptions.Subscribe(ctx, "app", "", mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: here})
		require.NoError(t, err)
		require.Equal(t, []string{s.ID}, h.Owned()[0].Of("app"))
		require.NoError(t, h.Owned()[0].Remove(ctx, "app", s.ID))
		require.NoError(t, h.Owned()[0].Remove(ctx, "app", s.ID), "what is gone is no error")
		there := series()
		for _, name := range []string{"mep_subscriptions", "mep_notification_posts_total", "mep_notification_posts_in_flight", "mep_notification_posts_waiting",
			"mep_notification_posts_limit", "mep_notification_kept_bytes", "mep_notification_oldest_seconds", "mep_notification_retries_total",
			"mep_notification_signing_keys", "mep_notification_files_unusable", "mep_notification_answers_cut_total", "mep_notification_events_lost_total", "mep_notification_events_unreadable_total",
			"mep_services_flapping", "mep_notification_changes_put_off_total"} {
			require.Contains(t, there, name)
		}
		require.InDelta(t, h.MaxPosts, there["mep_notification_posts_limit"], 0)
		_, err = h.Subscriptions.Subscribe(ctx, "app", "", mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: here})
		require.NoError(t, err)
		kept.commit("x", "S")
		require.Eventually(t, func() bool {
			now := series()
			return now["mep_notification_kept_bytes"] == 500 && now["mep_notification_oldest_seconds"] > 0
		}, time.Minute, 10*time.Millisecond, "nobody is there to be told")
		stop()
	}))
	b.following.Wait()
	require.NotContains(t, series(), "mep_subscriptions")
	require.Contains(t, out.String(), "the watch was cut")
	require.NotContains(t, out.String(), "the process stops", "which is no loss")
}

// What is retained must leave room for the services, in a store that is embedded, and all
// replicas together must keep to it.
func TestWhatMayBeRetainedByThisReplica(t *testing.T) {
	for _, c := range []struct {
		kind         conf.Kind
		inAll, quota int
		replicas     int
		want         int64
	}{
		{conf.Embedded, 100, 1000, 1, 100},
		{conf.Embedded, 1000, 1000, 1, 250},
		{conf.Embedded, 1000, 1000, 2, 125},
		{conf.Etcd, 1000, 1000, 1, 1000},
		{conf.Etcd, 1000, 1000, 4, 250},
	} {
		h := &plugins.Host{Base: &fakeBase{replicas: c.replicas}, Config: conf.Default()}
		h.Config.Store.Kind = c.kind
		h.Config.Notify.KeptBytesInAll, h.Config.Store.QuotaBytes = conf.Size(c.inAll), conf.Size(c.quota)
		require.Equal(t, c.want, retainedLimit(h)(), c)
	}
}

// doubtful is a store that cannot say for a while whether a lock is held.
type doubtful struct {
	*link
	refuses int
}

func (d *doubtful) Locked(ctx context.Context, id string) (bool, error) {
	if d.refuses--; d.refuses >= 0 {
		return false, errCut
	}
	return d.link.Locked(ctx, id)
}

// After a deletion is answered nobody sends any more: a store that does not answer has not
// said so.
func TestADeletionIsNotAnsweredInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, _ := withLease(t)
		d.store = &doubtful{l, 5}
		other, err := l.Grant(t.Context(), 100)
		require.NoError(t, err)
		_, err = l.Lock(t.Context(), "s", other, false)
		require.NoError(t, err)
		time.AfterFunc(2*time.Second, func() { _ = l.endLease(other) })
		began := time.Now()
		require.NoError(t, d.awaitUnlocked(t.Context(), "s"))
		require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	})
}

func TestNothingButAnAddressWithAPortIsDialled(t *testing.T) {
	p := policy{loopback: true, allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("fe80::/10")}}
	for _, address := range []string{"", "localhost:80", "127.0.0.1", "127.0.0.1:0", "192.0.2.1:http", "[fe80::1%eth0]:80", "192.0.2.1:70000"} {
		require.ErrorIs(t, p.control("tcp", address, nil), errForbidden, address)
	}
	for _, address := range []string{"127.0.0.1:1", "192.0.2.1:80", "[fe80::1]:80", "[2001:db8::1]:65535"} {
		require.NoError(t, p.control("tcp", address, nil), address)
	}
	require.False(t, p.permits(netip.Addr{}))
	require.True(t, p.refuses("http://%zz/"))
	require.False(t, p.refuses("http://name.example/"), "names are judged when they are dialled")
}
