package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever heartbeats race a deletion: none that began after its answer finds the
// service, and none brings it back.
func TestNoHeartbeatThatRacesADeletionResurrects(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	var late atomic.Int64
	for round := range 40 {
		v := s.register("app", fmt.Sprint("s", round), 1)
		var deleted atomic.Bool
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for after := 0; after < 3; {
					began := deleted.Load()
					r, err := s.try("PATCH", v.liveness, alive)
					if err != nil {
						t.Error(err)
						return
					}
					if began {
						after++
						late.Add(1)
						if r.status != 404 {
							t.Errorf("a heartbeat after the deletion's answer: %d %s", r.status, r.body)
						}
					} else if r.status != 204 && r.status != 404 {
						t.Errorf("a heartbeat beside the deletion: %d %s", r.status, r.body)
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		s.want(204, "DELETE", v.location, "")
		deleted.Store(true)
		wg.Wait()
		require.False(t, v.discovered())
		s.want(404, "GET", v.location, "")
	}
	eventually(t, "nothing is left in service-center", func() bool { return len(microservices(s)) == 0 })
	require.Zero(t, s.suspensions())
	t.Logf("40 deletions among heartbeats; %d heartbeats after the answer, all 404", late.Load())
}

// What was acknowledged, the next answer shows, whoever asks and however busy the
// server is.
func TestWhatIsAcknowledgedTheNextAnswerShows(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				app := fmt.Sprintf("app-%d", w)
				r, err := s.try("POST", base+"/applications/"+app+"/services", info(fmt.Sprint("s", i), 1))
				if err != nil || r.status != 201 {
					t.Errorf("register: %d %v", r.status, err)
					return
				}
				id := r.json(t)["serInstanceId"].(string)
				list, err := s.try("GET", base+"/services?ser_instance_id="+id, "")
				if err != nil || len(list.list(t)) != 1 {
					t.Errorf("registered and not discovered: %s %v", list.body, err)
				}
				if r, err := s.try("DELETE", r.header.Get("Location"), ""); err != nil || r.status != 204 {
					t.Errorf("delete: %d %v", r.status, err)
				}
				list, err = s.try("GET", base+"/applications/"+app+"/services?ser_instance_id="+id, "")
				if err != nil || len(list.list(t)) != 0 {
					t.Errorf("deleted and still listed: %s %v", list.body, err)
				}
			}
		})
	}
	wg.Wait()
}
