package state

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// However many ask, the servers of the store are asked every few seconds, and who goes away ends
// nobody's answer.
func TestTheStoreIsAskedForAllWhoAsk(t *testing.T) {
	s, r := newSite()
	ask := func(ctx context.Context) string {
		w := httptest.NewRecorder()
		r.handler(r.store).ServeHTTP(w, httptest.NewRequest(http.MethodGet, StorePath, nil).WithContext(ctx))
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	first := ask(gone)
	require.JSONEq(t, `{"now":"1970-01-01T00:00:00.000000001Z","kind":"embedded","members":[{"id":"1","version":"3.6.0","leader":false,"alarms":["NOSPACE"],"error":"<nil>"}]}`, first)
	s.now += storeAge - 1
	require.Equal(t, first, ask(t.Context()))
	require.Equal(t, 1, s.asked)
	s.now++
	require.NotEqual(t, first, ask(t.Context()))
	require.Equal(t, 2, s.asked)
	require.GreaterOrEqual(t, storeAge, time.Second)
}
