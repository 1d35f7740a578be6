package client

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestWhatHappenedLatelyIsReadAsItWasAskedFor(t *testing.T) {
	asked := make(chan string, 2)
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RequestURI()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"now":"2026-11-27T12:00:00Z","revision":7,"from":"2026-11-27T11:00:00Z","left":3,"changes":[{"revision":7,"time":"2026-11-27T11:59:00Z","serInstanceId":"i","serName":"n",
			"appInstanceId":"a","category":"video","locality":"ZONE","change":"STATE_CHANGED","from":"ACTIVE","to":"SUSPENDED"}]}`))
	})
	c, ctx := p.client(t, ""), t.Context()
	out, err := c.Changes(ctx, time.Time{}, 0)
	require.NoError(t, err)
	require.Equal(t, mp1.ChangesPath, <-asked)
	require.EqualValues(t, 7, out.Revision)
	require.Equal(t, 3, out.Left)
	require.Equal(t, mp1.Locality("ZONE"), out.Changes[0].Locality)
	_, err = c.Changes(ctx, time.Date(2026, 11, 27, 11, 0, 0, 500, time.FixedZone("", 3600)), 5)
	require.NoError(t, err)
	require.Equal(t, mp1.ChangesPath+"?limit=5&since=2026-11-27T10%3A00%3A00.0000005Z", <-asked)
}
