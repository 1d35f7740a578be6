package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/tier"
)

// filler is an application that writes as much as the server takes.
type filler struct {
	s       *server
	stop    chan struct{}
	workers sync.WaitGroup
	mu      sync.Mutex
	ids     []string
	refused atomic.Int64
	other   atomic.Pointer[response] // neither taken nor refused for want of room
}

// large is a service whose description has about 60 kB.
func large(name string) string {
	uris := strings.Repeat(`"http://10.0.0.5:8080/`+strings.Repeat("&", 480)+`",`, 118)
	return strings.Replace(info(name, -1), `"uris":[`, `"uris":[`+uris, 1)
}

func fill(s *server, workers int) *filler {
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
	r, err := f.s.try("POST", base+"/applications/filler/services", large(name))
	switch {
	case err != nil:
	case r.status == http.StatusCreated:
		f.mu.Lock()
		f.ids = append(f.ids, r.json(f.s.t)["serInstanceId"].(string))
		f.mu.Unlock()
	case (r.status == http.StatusInsufficientStorage || r.status == http.StatusTooManyRequests) && r.header.Get("Retry-After") != "":
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
	s := start(t, append(fast, "MEP_STORE_QUOTA_BYTES=16MiB")...)
	living, leaving := population(s, "living", 20, 1), population(s, "leaving", 3, -1)
	dying := s.register("app-dying", "dying", 10)
	lists := s.metric(`mep_disturbances_total{reason="watch"}`) + s.metric(`mep_disturbances_total{reason="list"}`)
	var failed atomic.Int64
	done := make(chan struct{})
	var beats sync.WaitGroup
	for _, v := range living {
		beats.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				if r, err := s.try("PATCH", v.liveness, alive); err != nil || r.status != 204 {
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
	eventually(t, "the filler is refused", func() bool { return f.refused.Load() > 50 })
	require.Equal(t, 0, s.metric("mep_store_full"), "what frees is taken")
	s.want(204, "DELETE", leaving[0].location, "")
	s.want(507, "POST", base+"/applications/app-other/services", large("other"))
	r := s.want(507, "POST", "/v4/default/registry/microservices", `{"service":{"serviceName":"theirs","appId":"a","version":"1.0.0","properties":{"p":"`+strings.Repeat("x", 150_000)+`"}}}`)
	require.Equal(t, "12", r.header.Get("Retry-After"), "ServiceComb's clients pass the same gate")
	require.Equal(t, 1, s.metric("mep_store_short"))
	eventually(t, "it is said", func() bool { return strings.Contains(s.log.String(), "the store is short of room") })
	eventually(t, "a death is found while the store is full", func() bool { return dying.state() == "SUSPENDED" })
	require.Equal(t, 1, s.suspensions(), "and nobody else's")
	f.end()
	if other := f.other.Load(); other != nil {
		t.Errorf("the filler got %d: %s", other.status, other.body)
	}
	require.Zero(t, s.metric(`mep_disturbances_total{reason="watch"}`)+s.metric(`mep_disturbances_total{reason="list"}`)-lists, "no watch and no list was compacted away")
	require.Zero(t, failed.Load(), "heartbeats of others")
	require.Positive(t, s.metric(`mep_store_refused_total{class="grow"}`))
	close(done)
	beats.Wait()

	s.signal(syscall.SIGTERM)
	require.NoError(t, s.cmd.Wait())
	s.launch()
	s.want(204, "DELETE", leaving[1].location, "")
	s.want(507, "POST", base+"/applications/app-other/services", large("other"))
	for _, id := range f.ids {
		s.want(204, "DELETE", base+"/applications/filler/services/"+id, "")
	}
	eventually(t, "there is room again", func() bool {
		return s.do("POST", base+"/applications/app-other/services", large("other")).status == 201
	})
	s.want(204, "DELETE", leaving[2].location, "")
	db, err := os.Stat(filepath.Join(s.dir, "etcd", "member", "snap", "db"))
	require.NoError(t, err)
	require.Less(t, db.Size(), int64(3*16<<20))
	t.Logf("%d services of 60 kB were taken, %d refused; the file has %d MiB", len(f.ids), f.refused.Load(), db.Size()>>20)
}
