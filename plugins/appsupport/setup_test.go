package appsupport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeBase is a base plugin over the store in memory, which is shown when shown is closed.
type fakeBase struct {
	plugins.Base // nil: nothing else is asked for
	*fakeStore
	shown     chan struct{}
	following sync.WaitGroup
	erased    chan string // nil: nobody waits for it
}

func (b *fakeBase) Alone() bool           { return true }
func (b *fakeBase) Handler() http.Handler { return http.NotFoundHandler() }

func (b *fakeBase) Handle(string, string, server.Access, http.Handler) {}

// These are in both of the embedded.
func (b *fakeBase) SaveApplication(ctx context.Context, a plugins.Application) (heartbeat.Revision, error) {
	return b.fakeStore.SaveApplication(ctx, a)
}

func (b *fakeBase) BeginTermination(ctx context.Context, a plugins.Application) (heartbeat.Revision, error) {
	return b.fakeStore.BeginTermination(ctx, a)
}

func (b *fakeBase) EraseApplication(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	if b.erased != nil {
		defer func() { b.erased <- app }()
	}
	return b.fakeStore.EraseApplication(ctx, app, at)
}

func (b *fakeBase) Application(ctx context.Context, app string) (plugins.Application, error) {
	return b.fakeStore.Application(ctx, app)
}

func (b *fakeBase) FollowApplications(ctx context.Context, load func([]plugins.Application, heartbeat.Revision),
	see func(plugins.Application, bool), failed func(string, error),
) {
	b.following.Add(1)
	defer b.following.Done()
	select {
	case <-b.shown:
	case <-ctx.Done():
		return
	}
	failed("the watch was cut", errors.New("broken pipe"))
	load([]plugins.Application{written("listed", 3, false), written("left", 4, true)}, 5)
	see(written("watched", 6, false), false)
	<-ctx.Done()
	failed("the process stops", ctx.Err())
}

func host(log io.Writer, b plugins.Base) *plugins.Host {
	h := &plugins.Host{Log: plugins.NewLog(log, "INFO"), Base: b, Ready: func() bool { return true }, LogDropped: func() uint64 { return 0 }}
	h.Config.Server.Listen, h.Config.Limits.Connections = "127.0.0.1:0", 10
	return h
}

// The platform is not ready, and admits nobody, before it knows who is registered.
func TestTheServerIsReadyOnceTheRegistrationsAreLoaded(t *testing.T) {
	var out bytes.Buffer
	b := &fakeBase{fakeStore: &fakeStore{apps: map[string]plugins.Application{"left": written("left", 4, true)}}, shown: make(chan struct{})}
	h := host(&out, b)
	h.Config.Applications.Admission, h.Config.Applications.Known = conf.Registered, []string{"configured"}
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
		for app, want := range map[string]bool{"configured": true, "listed": true, "nobody": false} {
			ok, err := h.Admitted(ctx, app)
			require.NoError(t, err)
			require.Equal(t, want, ok, app)
		}
		a, err := h.Registrations.Registration(ctx, "listed")
		require.NoError(t, err)
		require.Equal(t, "n", a.AppName)
		stop()
	}))
	b.following.Wait()
	require.Contains(t, out.String(), "the watch was cut")
	require.NotContains(t, out.String(), "the process stops", "which is no loss")
}

// A process that was killed may have left an application that is leaving.
func TestTheNextProcessFinishesWhatWasLeft(t *testing.T) {
	b := &fakeBase{fakeStore: &fakeStore{apps: map[string]plugins.Application{"left": written("left", 4, true)}}, shown: make(chan struct{}), erased: make(chan string)}
	owned := &things{of: map[string][]string{"left": {"1"}}}
	h := host(t.Output(), b)
	h.AddOwned(owned)
	close(b.shown)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	require.NoError(t, plugins.Run(ctx, h, []plugins.Plugin{Plugin()}, func(net.Addr) {
		require.Equal(t, "left", <-b.erased)
		stop()
	}))
	require.Empty(t, owned.Of("left"))
}

func TestARegistrationThatCannotBeReadIsNotSaidToBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.NoError(t, err)
		a, err := d.Registration(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, info("a"), a)
		s.fail = errors.New("no answer")
		_, err = d.Registration(t.Context(), "b")
		require.ErrorIs(t, err, heartbeat.ErrUnavailable)
		require.NotErrorIs(t, err, server.ErrNoRegistration)
	})
}
