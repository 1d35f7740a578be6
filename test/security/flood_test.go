package security

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// flooding is one identity that does one thing as often as it can, on many connections, until
// ctx ends.
func flooding(ctx context.Context, s *mep.Server, conns int, method, path, body string) (answers *sync.Map, ended *sync.WaitGroup) {
	answers, ended = &sync.Map{}, &sync.WaitGroup{}
	for range conns {
		ended.Go(func() {
			for ctx.Err() == nil {
				if a, err := s.Try(method, path, body); err == nil {
					n, _ := answers.LoadOrStore(a.Status, new(atomic.Int64))
					n.(*atomic.Int64).Add(1)
				}
			}
		})
	}
	return answers, ended
}

func count(answers *sync.Map, status int) int64 {
	n, ok := answers.Load(status)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// A flood by one identity, in whatever way, must not make others' heartbeats fail or come late
// over their window. What it costs them in time is printed by test/bench (greedy).
func TestAFloodByOneIdentityLeavesTheHeartbeatsOfOthersAlone(t *testing.T) {
	t.Parallel()
	// The limits are so low that a slow machine meets them too: an identity has few slots.
	s := mep.Secure(t, append(slices.Clone(mep.Fast), "MEP_LIMITS_CONNECTIONS=300", "MEP_LIMITS_WRITES_BURST=50", "MEP_LIMITS_BYTES_BURST=256KiB", "MEP_LIMITS_BYTES_PER_SECOND=64KiB", "MEP_LIMITS_LISTS_PER_SECOND=10")...)
	greedy := s.As(s.Add("greedy")).Apart()
	registry := s.As(s.Add("catalogue", "registry", "reader")).Apart()
	type quiet struct {
		*mep.Server
		liveness, id string
		beats        int
		took         []time.Duration
	}
	var all []*quiet
	for i := range 4 {
		app := fmt.Sprint("quiet-", i)
		as := s.As(s.Add(app)).Apart()
		v := as.Register(app, "n", 1)
		all = append(all, &quiet{Server: as, liveness: v.Liveness, id: v.ID})
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var beating sync.WaitGroup
	for _, q := range all {
		beating.Go(func() { // twice in an interval; the window is 2 s
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				at := time.Now()
				a, err := q.Try("PATCH", q.liveness, mep.Alive)
				if err != nil || a.Status != 204 {
					t.Errorf("a heartbeat was answered %d: %s %v", a.Status, a.Body, err)
				}
				q.beats, q.took = q.beats+1, append(q.took, time.Since(at))
				<-tick.C
			}
		})
	}
	for _, flood := range []struct {
		name               string
		by                 *mep.Server
		method, path, body string
		refused            int // a status that it must meet; 0: nothing is refused, but held up
	}{
		{"writes", greedy, "POST", mep.ServicesOf("greedy"), mep.Info("x", -1), 429},
		{"bytes", greedy, "POST", mep.ServicesOf("greedy"), strings.Repeat(" ", 60<<10), 429},
		{"lists", greedy, "GET", mp1.Base + "/services", "", 429},
		{"reads", greedy, "GET", mp1.Base + "/transports", "", 0},
		{"what is another's", greedy, "PATCH", all[0].liveness, mep.Alive, 403},
		{"tokens that are not valid", s.Apart().WithToken("eyJhbGciOiJFUzI1NiJ9.e30.x"), "PATCH", all[0].liveness, mep.Alive, 401},
		{"ServiceComb's lists", registry, "GET", "/v4/default/govern/microservices?options=all", "", 429},
		{"ServiceComb's finds", registry, "GET", "/v4/default/registry/instances?appId=default&serviceName=n&version=0%2B", "", 429},
		{"metrics", registry, "GET", "/metrics", "", 429},
	} {
		while, stop := context.WithTimeout(ctx, 1500*time.Millisecond)
		answers, ended := flooding(while, flood.by, 32, flood.method, flood.path, flood.body)
		ended.Wait()
		stop()
		if flood.refused > 0 {
			require.Positive(t, count(answers, flood.refused), flood.name)
		}
	}
	opened := floodConnections(t, s, s.Token(s.Add("opener")), 900)
	require.Greater(t, opened, 300, "more than there may be")
	end()
	beating.Wait()
	var took []time.Duration
	for _, q := range all {
		require.Greater(t, q.beats, 20)
		require.Equal(t, "ACTIVE", q.State(q.id))
		took = append(took, q.took...)
	}
	slices.Sort(took)
	t.Logf("%d heartbeats, p50 %v, p99 %v, longest %v", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	reader := s.As(s.Add("prometheus", "reader"))
	require.Zero(t, reader.Metric(`mep_transactions_total{kind="CLAIM"}`))
	require.Positive(t, reader.Metric(`mep_requests_held_total{refused="false"}`))
	require.Positive(t, reader.Metric(`mep_requests_held_total{refused="true"}`))
	require.Equal(t, 10, reader.Metric(`mep_limit_per_second{limit="lists"}`))
	for _, limit := range []string{"writes", "bytes", "lists"} {
		require.Positive(t, reader.Metric(`mep_limit_refused_total{limit="`+limit+`",scope="caller"}`), limit)
	}
}

// floodConnections opens connections, asks once on each as an identity, and keeps them. It
// returns how many the server took.
func floodConnections(t *testing.T, s *mep.Secured, token string, n int) (opened int) {
	t.Helper()
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Minute}, Config: &tls.Config{RootCAs: s.CA.Pool}}
	for range n {
		c, err := d.DialContext(t.Context(), "tcp", s.Listen)
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = c.Close() })
		opened++
		_, _ = io.WriteString(c, "GET "+mp1.Base+"/transports HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	}
	return opened
}

// Which limits an identity meets, whichever path it takes and however it proves who it is, and
// that nobody else meets them.
func TestLimitsGoByIdentity(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, "MEP_LIMITS_WRITES_PER_SECOND=1", "MEP_LIMITS_WRITES_BURST=5", "MEP_LIMITS_LISTS_PER_SECOND=3")
	host := s.As(s.AddHost("node", "pod-*"))
	statuses := map[int]int{}
	for i := range 8 {
		statuses[host.Do(http.MethodPost, mep.ServicesOf(fmt.Sprint("pod-", i)), mep.Info("x", -1)).Status]++
	}
	require.Greater(t, statuses[429], 0, "%v: an agent is one identity, for whichever application it writes", statuses)
	other := s.As(s.AddHost("node-2", "pod-*"))
	v := other.Register("pod-1", "y", 60)
	for range 20 {
		require.Equal(t, 204, host.Do(http.MethodPatch, v.Liveness, mep.Alive).Status, "a heartbeat is asked by no limit")
	}
	require.Equal(t, 204, host.Do(http.MethodDelete, v.Location, "").Status, "a deletion neither")
	reader := s.As(s.Add("consumer", "reader"))
	refused := 0
	for range 10 {
		if a := reader.Do(http.MethodGet, mp1.Base+"/services", ""); a.Status == 429 {
			refused++
			require.Equal(t, "1", a.Header.Get("Retry-After"))
			require.Contains(t, string(a.Body), "Too many lists")
		}
	}
	require.Positive(t, refused)
	require.Equal(t, 200, other.Do(http.MethodGet, mp1.Base+"/services", "").Status)
}
