package external

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Whichever replica is asked knows who was told of a change, who is not yet, and to whom attempts fail.
func TestAnyReplicaShowsWhoWasTold(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	good, bad := consumer.Start(t), consumer.Start(t)
	bad.Answer(500)
	for _, s := range []*mep.Server{a, b} {
		s.Subscribe("watcher", good.URL, "")
		s.Subscribe("watcher", bad.URL, "")
	}
	a.Register("app", "told", -1)
	for _, s := range []*mep.Server{a, b} {
		wait.Until(t, "it knows how far both are", func() bool {
			var all struct {
				Platform struct {
					Notifications struct{ Pending, FailingSubscriptions int }
				}
				Services []struct {
					Notified struct {
						Told, Pending, Elsewhere int
						Failing                  []string
					}
				}
			}
			s.Want(200, "GET", statePath+"?name=told", "").Into(t, &all)
			n, p := all.Services[0].Notified, all.Platform.Notifications
			return n.Told == 2 && n.Pending == 2 && n.Elsewhere == 0 && len(n.Failing) == 2 && p.Pending == 2 && p.FailingSubscriptions == 2
		})
	}
}

// shown is what the tests read of a service's state.
type shown struct {
	SerInstanceID string    `json:"serInstanceId"`
	State         string    `json:"state"`
	Since         time.Time `json:"since"`
	Late          bool      `json:"late"`
	Estimated     bool      `json:"estimated"`
	Missed        *int      `json:"missed"`
	LastHeartbeat time.Time `json:"lastHeartbeat"`
	Deadline      time.Time `json:"deadline"`
}

const statePath = "/mec_liveness/v1/state"

// stateAt is the state of one service among all, and how many are late, as a replica shows it.
func stateAt(t *testing.T, s *mep.Server, name string) (one shown, late int) {
	t.Helper()
	var all struct {
		Counts   struct{ Late int }
		Services []shown
	}
	s.Want(200, "GET", statePath+"?name="+name, "").Into(t, &all)
	require.Len(t, all.Services, 1)
	return all.Services[0], all.Counts.Late
}

// Whichever replica is asked, also one that did not hear a service, knows when its window ends and
// that it is late, to a second, before it is SUSPENDED.
func TestAnyReplicaShowsWhoDiesNext(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	x := a.Register("app", "dies", 4)
	wait.Until(t, "b knows etcd's leader for long enough", func() bool {
		heard(t, a, x.ID)
		time.Sleep(500 * time.Millisecond)
		w, _ := stateAt(t, b, "dies")
		return w.Estimated
	})
	since, _ := stateAt(t, a, "dies")
	for range 8 {
		time.Sleep(time.Second)
		heard(t, a, x.ID)
		v, _ := stateAt(t, a, "dies")
		w, late := stateAt(t, b, "dies")
		require.False(t, v.Estimated || v.Late || w.Late)
		require.Zero(t, late)
		require.True(t, w.Estimated)
		require.False(t, w.Deadline.After(v.Deadline.Add(time.Second)), "%s, %s", w.Deadline, v.Deadline)
		require.Equal(t, since.Since, w.Since)
	}
	heard, _ := stateAt(t, a, "dies")
	late := map[*mep.Server]int{}
	wait.Until(t, "it is SUSPENDED", func() bool {
		suspended := 0
		for _, s := range []*mep.Server{a, b} {
			v, n := stateAt(t, s, "dies")
			if v.State == "SUSPENDED" {
				suspended++
			} else if v.Late {
				late[s] += n // counts are half a second older
			}
			if v.Late && v.Estimated { // else its lease has ended
				require.WithinDuration(t, heard.Deadline, v.Deadline, 1500*time.Millisecond)
				require.WithinDuration(t, heard.LastHeartbeat, v.LastHeartbeat, 1500*time.Millisecond)
			}
		}
		return suspended == 2
	})
	require.Positive(t, late[a])
	require.Positive(t, late[b])
	v, _ := stateAt(t, b, "dies")
	w, _ := stateAt(t, a, "dies")
	require.Equal(t, v.Since, w.Since)
}
