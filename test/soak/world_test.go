package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// trouble is a kill or a pause of the platform. A pause of up to a second is none that
// it notices: its promise to suspend nobody for a pause begins there.
type trouble struct {
	from, to time.Time
	brief    bool
	kill     bool
}

const noticed = 1100 * time.Millisecond // a second, and what lies between a signal and its note

// world knows what really happens.
type world struct {
	t      *testing.T
	server *mep.Server
	over   atomic.Bool
	done   chan struct{}
	beats  atomic.Int64

	mu       sync.Mutex
	services map[string]*service // by serInstanceId
	troubles []trouble

	registered, deleted, removed, kills, pauses, polls int
	falsely, missed, late, lost                        int
	latest                                             time.Duration
	faults                                             []string
}

// service is one registration; the world's mutex guards it.
type service struct {
	id, name string
	location string
	sent     time.Time // of the last heartbeat that was acknowledged
	acked    time.Time
	tried    time.Time // the end of the last attempt, acknowledged or not
	beating  bool
	ending   bool // a deletion was asked for
	gone     bool // a deletion was acknowledged, or the platform removed it
	silences int  // silences after which it may have been suspended
	told     int  // suspensions told, each of one gap
	open     bool // the silence that goes on was told of
	// unanswered is when a heartbeat began, after that, which was not answered: it may have
	// brought the service back, for another silence.
	unanswered time.Time
}

func newWorld(t *testing.T) *world {
	server := mep.Options{Timeout: 5 * time.Second, Env: append([]string{"MEP_LIVENESS_DEREGISTER_AFTER=" + removal.String(), "MEP_NOTIFY_TIMEOUT=3s", "MEP_NOTIFY_FLAP_CHANGES=0",
		"MEP_APPLICATIONS_MAX_SERVICES=100000", "MEP_LIMITS_WRITES_PER_SECOND=0"}, mep.Fast...)}.Start(t)
	return &world{t: t, server: server, done: make(chan struct{}), services: map[string]*service{}}
}

// fault notes a broken promise; mu is held.
func (w *world) fault(format string, args ...any) {
	if len(w.faults) < 20 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// liveOn has one service after another live under one name.
func (w *world) liveOn(n int, rnd *rand.Rand) {
	name := fmt.Sprintf("%s-%d", []string{"even", "odd"}[n%2], n)
	for !w.over.Load() {
		s := w.register(name)
		for s != nil {
			w.beat(s, time.Duration(3+rnd.IntN(30))*time.Second, rnd)
			if w.over.Load() {
				w.endLife(s, rnd.IntN(2) == 0)
				return
			}
			switch rnd.IntN(5) {
			case 0:
				w.delete(s)
				s = nil
			default: // silent, some for so long that they are removed
				w.sleep(time.Duration(1+rnd.IntN(8)) * time.Second)
				if rnd.IntN(8) == 0 {
					w.sleep(removal + 5*time.Second)
				}
				if w.isGone(s) {
					s = nil
				}
			}
		}
	}
}

// sleep waits, but not beyond the end of the world.
func (w *world) sleep(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !w.over.Load(); time.Sleep(50 * time.Millisecond) {
	}
}

// register registers a service, however often that must be asked for; nil: the world ended.
func (w *world) register(name string) *service {
	for !w.over.Load() {
		at := time.Now()
		v, err := w.server.TryRegister("app-"+name, name, interval)
		if err == nil {
			s := &service{id: v.ID, name: name, location: v.Location, sent: at, acked: time.Now(), tried: time.Now(), beating: true}
			w.mu.Lock()
			w.services[v.ID] = s
			w.registered++
			w.mu.Unlock()
			return s
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// beat keeps a service alive for a while, as an agent does: what is not answered is
// tried again.
func (w *world) beat(s *service, d time.Duration, rnd *rand.Rand) {
	w.mu.Lock()
	s.beating = true
	w.mu.Unlock()
	for end := time.Now().Add(d); time.Now().Before(end) && !w.over.Load(); {
		if !w.beatOnce(s) {
			break
		}
		time.Sleep(interval*time.Second - time.Duration(rnd.IntN(200))*time.Millisecond)
	}
	w.mu.Lock()
	s.beating = false
	w.mu.Unlock()
}

// beatOnce sends one heartbeat until it is answered; false: the service is not there.
func (w *world) beatOnce(s *service) bool {
	for {
		at := time.Now()
		a, err := w.server.Try("PATCH", s.location+"/liveness", mep.Alive)
		now := time.Now()
		w.mu.Lock()
		s.tried = now
		switch {
		case err == nil && a.Status < 300:
			w.beats.Add(1)
			s.unanswered = time.Time{}
			if w.silent(s.sent, now) {
				if s.open {
					s.open = false // told already
				} else {
					s.silences++
				}
			}
			s.sent, s.acked = at, now
			w.mu.Unlock()
			return true
		case err == nil && a.Status == http.StatusNotFound:
			if !s.gone && !w.mayBeRemoved(s, now) {
				w.falsely++
				w.fault("%s was answered 404 %v after its last heartbeat", s.id, now.Sub(s.sent))
			}
			s.gone = true
			w.mu.Unlock()
			return false
		}
		if s.open {
			s.unanswered = at
		}
		gone := s.gone
		w.mu.Unlock()
		if gone || w.over.Load() {
			return !gone
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// silent says whether the platform was right to suspend a service that it had heard last
// at from: for a whole window it ran and heard nothing, all before a pause or after it. A silence
// of one and a half intervals outlives a kill, and an interval at least follows it. mu is held.
func (w *world) silent(from, now time.Time) bool {
	const slack = 150 * time.Millisecond // between a signal and its note
	first, rest, due := time.Duration(0), time.Duration(0), window
	troubled := false
	for _, tr := range w.troubles {
		if tr.brief || !tr.to.After(from) {
			continue
		}
		part := max(tr.from.Sub(from), 0)
		if troubled {
			rest += part
		} else if first, troubled = part, true; tr.kill && part >= interval*time.Second*3/2 {
			due = max(interval*time.Second, window-part)
		}
		from = tr.to
	}
	if troubled {
		rest += now.Sub(from)
	} else {
		first = now.Sub(from)
	}
	return first >= window-slack || rest >= due-slack
}

// since lists the troubles after a moment, in durations from it. mu is held.
func (w *world) since(t time.Time) (out []string) {
	for _, tr := range w.troubles {
		if tr.to.After(t) {
			out = append(out, fmt.Sprintf("%v to %v, brief %t", tr.from.Sub(t), tr.to.Sub(t), tr.brief))
		}
	}
	return out
}

// troubled says whether there was trouble not long before a moment. mu is held.
func (w *world) troubled(now time.Time) bool {
	return slices.ContainsFunc(w.troubles, func(tr trouble) bool { return tr.to.After(now.Add(-15 * time.Second)) })
}

func (w *world) mayBeRemoved(s *service, now time.Time) bool {
	return s.ending || now.Sub(s.sent) >= window+removal
}

func (w *world) isGone(s *service) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.gone
}

// delete deletes a service, however often that must be asked for.
func (w *world) delete(s *service) {
	w.mu.Lock()
	s.ending = true
	w.mu.Unlock()
	for {
		a, err := w.server.Try("DELETE", s.location, "")
		if err == nil && (a.Status == http.StatusNoContent || a.Status == http.StatusNotFound) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.mu.Lock()
	s.gone = true
	w.deleted++
	w.mu.Unlock()
}

// endLife ends a life: beating until the end is checked, or silent.
func (w *world) endLife(s *service, alive bool) {
	w.mu.Lock()
	s.beating = alive
	w.mu.Unlock()
	if !alive {
		return
	}
	go func() {
		for {
			select {
			case <-w.done:
				return
			case <-time.After(interval * 900 * time.Millisecond):
				if !w.beatOnce(s) {
					return
				}
			}
		}
	}()
}

// makeTrouble kills and pauses the platform until the end.
func (w *world) makeTrouble(rnd *rand.Rand, end time.Time) {
	for {
		untroubled := time.Duration(3000+rnd.IntN(9000)) * time.Millisecond
		if *length < time.Minute {
			untroubled /= 3
		}
		kill, down := rnd.IntN(2) == 0, time.Duration(200+rnd.IntN(4000))*time.Millisecond
		time.Sleep(min(untroubled, max(time.Until(end), 0)))
		if !time.Now().Before(end) {
			return
		}
		from := time.Now()
		if kill {
			w.server.Kill()
			time.Sleep(down / 4)
			w.server.Restart()
		} else {
			w.server.Pause()
			time.Sleep(down)
			w.server.Resume()
		}
		to := time.Now()
		w.mu.Lock()
		w.troubles = append(w.troubles, trouble{from, to, !kill && to.Sub(from) < noticed, kill})
		if kill {
			w.kills++
		} else {
			w.pauses++
		}
		w.mu.Unlock()
	}
}
