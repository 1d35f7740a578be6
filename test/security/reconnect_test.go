package security

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// A thousand agents behind one address that connect anew at the same moment, as after a failure
// of their network, wait for one another, and none loses a heartbeat.
func TestAThousandAgentsBehindOneAddressReconnect(t *testing.T) {
	t.Parallel()
	const agents = 1000
	s := mep.Secure(t)
	token := s.Token(s.AddHost("node", "pod-*"))
	v := s.WithToken(token).Register("pod-1", "n", 30)
	var all sync.WaitGroup
	var again atomic.Int64
	began := time.Now()
	for range agents {
		all.Go(func() {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA.Pool}, DisableKeepAlives: true,
				DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}).DialContext}
			for { // as an agent does, whose connection may be closed before it had its turn
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.URL+v.Liveness, strings.NewReader(mep.Alive))
				if !assert.NoError(t, err) {
					return
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := transport.RoundTrip(req)
				if err != nil && t.Context().Err() == nil {
					again.Add(1)
					continue
				}
				if assert.NoError(t, err) {
					assert.Equal(t, http.StatusNoContent, res.StatusCode)
					_ = res.Body.Close()
				}
				return
			}
		})
	}
	all.Wait()
	t.Logf("%d agents connected in %v; %d attempts more", agents, time.Since(began), again.Load())
	reader := s.As(s.Add("prometheus", "reader"))
	require.Positive(t, reader.Metric("mep_tls_handshakes_held_total"))
	require.LessOrEqual(t, int64(reader.Metric("mep_tls_handshakes_refused_total")), again.Load())
	require.Equal(t, "ACTIVE", s.WithToken(token).State(v.ID))
	require.Zero(t, reader.Metric(`mep_transactions_total{kind="CLAIM"}`))
}
