package plugins

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// heldAtStart is how long an event stream is held while the server starts: less than bodyTimeout,
// after which net/http takes its client for gone.
const heldAtStart = 8 * time.Second

// startingUp answers requests while the plugins are being set up. An event stream is held until
// requests are received, and begins then by what handler returns: a browser's EventSource, which connects
// again while the server is restarted, gives up for good at any answer but 200. If it takes longer,
// its connection is closed, after which it tries again.
func startingUp(ctx context.Context, began <-chan struct{}, handler func() http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health" && reads(r):
			_, _ = w.Write([]byte("ok\n"))
			return
		case r.URL.Path == "/health":
			server.RefuseMethod(w, http.MethodGet, http.MethodHead)
			return
		case StreamsEvents(r):
			late := time.NewTimer(heldAtStart)
			defer late.Stop()
			select {
			case <-began:
				handler().ServeHTTP(w, r)
				return
			case <-late.C:
			case <-r.Context().Done():
			case <-ctx.Done():
			}
			panic(http.ErrAbortHandler)
		}
		server.RefuseError(w, heartbeat.ErrNotReady, 1)
	})
}
