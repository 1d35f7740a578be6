package agent

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What is taken back goes, even where the others are left.
func TestWhatIsTakenBackIsNotLeftBehindWhenTheEndCutsItsPOSTOff(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.keeps = keeps
			f.respondWith(onRequest(http.MethodPost, "", func(r *http.Request) response {
				body, _ := io.ReadAll(mustBody(r))
				f.mu.Lock()
				_ = f.serve(r, body).Body.Close()
				f.mu.Unlock()
				<-r.Context().Done()
				return response{err: r.Context().Err()}
			}))
			o := options(f, 2)
			o.OnStop = Leave
			r := run(t, o)
			require.NoError(t, r.Remove("s0"))
			advance(time.Second)
			require.Len(t, f.registered(), 2)
			require.NoError(t, r.stop())
			left := f.registered()
			require.Len(t, left, 1)
			for _, info := range left {
				require.Equal(t, "s1", info.SerName)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the list is asked for only where it is of use
		f := newFakePlatform(10)
		f.respondWith(onRequest(http.MethodPost, "", func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		}))
		o := options(f, 1)
		o.OnStop = Leave
		r := run(t, o)
		lists := len(f.sent(http.MethodGet, "/services"))
		require.NoError(t, r.stop())
		require.Len(t, f.sent(http.MethodGet, "/services"), lists)
	})
}
