package plugins

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// A browser that connects again while the server starts must not be refused: it would never ask again.
func TestAnEventStreamWaitsForTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began := make(chan struct{})
		h := startingUp(ctx, began, func() http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		})
		ask := func(method, path string) (status int, aborted bool) {
			w := httptest.NewRecorder()
			defer func() { status, aborted = w.Code, recover() != nil }()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
			return
		}
		at := time.Now()
		_, aborted := ask(http.MethodGet, mp1.EventsPath)
		require.True(t, aborted, "its connection is closed, and it tries again")
		require.Equal(t, heldAtStart, time.Since(at))
		require.Less(t, heldAtStart, bodyTimeout)
		status, aborted := ask(http.MethodGet, mp1.Base+"/services")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.False(t, aborted)
		status, _ = ask(http.MethodGet, "/health")
		require.Equal(t, http.StatusOK, status)
		time.AfterFunc(heldAtStart-1, func() { close(began) })
		status, aborted = ask(http.MethodGet, MepPrefix+mp1.EventsPath)
		require.Equal(t, http.StatusTeapot, status)
		require.False(t, aborted)
		stop()
	})
}

func TestAnEventStreamHoldsNoStopUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		h := startingUp(ctx, make(chan struct{}), nil)
		at := time.Now()
		time.AfterFunc(time.Second, stop)
		require.Panics(t, func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, mp1.EventsPath, http.NoBody))
		})
		require.Equal(t, time.Second, time.Since(at))
	})
}
