package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// filler is an application that writes as much as the server takes.
type filler struct {
	s       *mep.Server
	stop    chan struct{}
	workers sync.WaitGroup
	mu      sync.Mutex
	ids     []string
	refused atomic.Int64
	other   atomic.Pointer[mep.Answer] // neither taken nor refused for want of room
}

// large is a service whose description has about 60 kB.
func large(name string) string {
	uris := strings.Repeat(`"http://10.0.0.5:8080/`+strings.Repeat("&", 480)+`",`, 118)
	return strings.Replace(mep.Info(name, -1), `"uris":[`, `"uris":[`+uris, 1)
}

func fill(s *mep.Server, workers int) *filler {
	f := &filler{s: s, stop: make(chan struct{})}
	for w := range workers {
		f.workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-f.stop:
					return
				default:
					f.write(fmt.Sprintf("filler-%d-%d", w, i))
				}
			}
		})
	}
	return f
}

func (f *filler) write(name string) {
	r, err := f.s.Try("POST", mep.ServicesOf("filler"), large(name))
	switch {
	case err != nil:
	case r.Status == http.StatusCreated:
		f.mu.Lock()
		f.ids = append(f.ids, r.Object(f.s.T())["serInstanceId"].(string))
		f.mu.Unlock()
	case (r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests) && r.Header.Get("Retry-After") != "": // it was not confirmed in time, or is one of too many
		time.Sleep(20 * time.Millisecond)
	case r.Status == http.StatusInsufficientStorage && r.Header.Get("Retry-After") != "":
		f.refused.Add(1)
		time.Sleep(20 * time.Millisecond)
	default:
		f.other.Store(&r)
	}
}

func (f *filler) end() {
	close(f.stop)
	f.workers.Wait()
}

// One application fills the store to its quota. It alone is refused: the heartbeats of
// all others, their deaths and their deletions go on, also after a restart, and the
// store takes registrations again once there is room, without a restart.
func TestAFullStoreHealsWhileTheOthersGoOn(t *testing.T) {
	tier.Long(t, "test/e2e", "fills a store")
	t.Parallel()
	s := mep.Start(t, append(mep.Fast, "MEP_STORE_QUOTA_BYTES=16MiB")...)
	living, leaving := population(s, "living", 20, 1), population(s, "leaving", 3, -1)
	dying := s.Register("app-dying", "dying", 10)
	lists := s.Metric(`mep_disturbances_total{reason="watch"}`) + s.Metric(`mep_disturbances_total{reason="list"}`)
	var failed atomic.Int64
	done := make(chan struct{})
	var beats sync.WaitGroup
	for _, v := range living {
		beats.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				// A store that is slow to confirm asks for another try; too many, and the service is SUSPENDED.
				if r, err := s.Try("PATCH", v.Liveness, mep.Alive); err != nil || r.Status != 204 && r.Status != 503 {
					failed.Add(1)
				}
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	f := fill(s, 4)
	wait.Within(t, 4*time.Minute, "the filler is refused", func() bool { return f.refused.Load() > 50 })
	require.Equal(t, 0, s.Metric("mep_store_full"), "what frees is taken")
	s.Want(204, "DELETE", leaving[0].Location, "")
	// full sends something large that must be refused. What is tidied away may make a little room
	// for it, which is soon gone.
	full := func(path string, body func(i int) string) (r mep.Answer) {
		t.Helper()
		i := 0
		wait.Until(t, "others are refused too", func() bool {
			i++
			r = s.Do("POST", path, body(i))
			return r.Status == http.StatusInsufficientStorage
		})
		return r
	}
	ours := func(int) string { return large("other") }
	full(mep.ServicesOf("app-other"), ours)
	r := full("/v4/default/registry/microservices", func(i int) string {
		return fmt.Sprintf(`{"service":{"serviceName":"theirs-%d","appId":"a","version":"1.0.0","properties":{"p":"%s"}}}`, i, strings.Repeat("x", 150_000))
	})
	require.Equal(t, "12", r.Header.Get("Retry-After"), "ServiceComb's clients pass the same gate")
	wait.Until(t, "the metric says it", func() bool { return s.Metric("mep_store_short") == 1 })
	wait.Until(t, "it is said", func() bool { return strings.Contains(s.Log(), "the store is short of room") })
	wait.Until(t, "a death is found while the store is full", func() bool { return dying.State() == "SUSPENDED" })
	counted(s, 1, claimed) // and nobody else's
	f.end()
	if other := f.other.Load(); other != nil {
		t.Errorf("the filler got %d: %s", other.Status, other.Body)
	}
	require.Zero(t, s.Metric(`mep_disturbances_total{reason="watch"}`)+s.Metric(`mep_disturbances_total{reason="list"}`)-lists, "no watch and no list was compacted away")
	require.Zero(t, failed.Load(), "heartbeats of others")
	require.Positive(t, s.Metric(`mep_store_refused_total{class="grow"}`))
	close(done)
	beats.Wait()

	require.Zero(t, s.Terminate())
	s.Restart()
	s.Want(204, "DELETE", leaving[1].Location, "")
	full(mep.ServicesOf("app-other"), ours)
	for _, id := range f.ids {
		s.Want(204, "DELETE", mep.ServicesOf("filler")+"/"+id, "")
	}
	wait.Until(t, "there is room again", func() bool {
		return s.Do("POST", mep.ServicesOf("app-other"), large("other")).Status == 201
	})
	s.Want(204, "DELETE", leaving[2].Location, "")
	db, err := os.Stat(filepath.Join(s.DataDir, "etcd", "member", "snap", "db"))
	require.NoError(t, err)
	require.Less(t, db.Size(), int64(3*16<<20))
	t.Logf("%d services of 60 kB were taken, %d refused; the file has %d MiB", len(f.ids), f.refused.Load(), db.Size()>>20)
}
