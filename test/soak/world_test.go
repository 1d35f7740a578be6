package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// trouble is a time in which the platform was paused or dead.
// trouble is a kill or a pause of the platform. A pause of up to a second is none that
// it notices: its promise to suspend nobody for a pause begins there.
type trouble struct {
	from, to time.Time
	brief    bool
}

const noticed = 1100 * time.Millisecond // a second, and what lies between a signal and its note

// world knows what really happens.
type world struct {
	t      *testing.T
	server *server
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
	gaps     int  // silences after which it may have been suspended
	told     int  // suspensions told, each of one gap
	open     bool // the silence that goes on was told of
}

func newWorld(t *testing.T, _ uint64) *world {
	return &world{t: t, server: newServer(t), done: make(chan struct{}), services: map[string]*service{}}
}

// fault notes a broken promise; mu is held.
func (w *world) fault(format string, args ...any) {
	if len(w.faults) < 20 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// life is one service after another in one place.
func (w *world) life(place int, rnd *rand.Rand) {
	name := fmt.Sprintf("%s-%d", []string{"even", "odd"}[place%2], place)
	for !w.over.Load() {
		s := w.born(name)
		for s != nil {
			w.beat(s, time.Duration(3+rnd.IntN(30))*time.Second, rnd)
			if w.over.Load() {
				w.beatOn(s, rnd.IntN(2) == 0)
				return
			}
			switch rnd.IntN(5) {
			case 0:
				w.end(s)
				s = nil
			default: // silent, some for so long that they are removed
				w.rest(time.Duration(1+rnd.IntN(8)) * time.Second)
				if rnd.IntN(8) == 0 {
					w.rest(removal + 5*time.Second)
				}
				if w.isGone(s) {
					s = nil
				}
			}
		}
	}
}

// rest waits, but not beyond the end of the world.
func (w *world) rest(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !w.over.Load(); time.Sleep(50 * time.Millisecond) {
	}
}

func (w *world) born(name string) *service {
	for !w.over.Load() {
		at := time.Now()
		id, location, _, err := w.server.register("app-"+name, name)
		if err == nil {
			s := &service{id: id, name: name, location: location, sent: at, acked: time.Now(), tried: time.Now(), beating: true}
			w.mu.Lock()
			w.services[id] = s
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
		if !w.one(s) {
			break
		}
		time.Sleep(interval*time.Second - time.Duration(rnd.IntN(200))*time.Millisecond)
	}
	w.mu.Lock()
	s.beating = false
	w.mu.Unlock()
}

// one sends one heartbeat until it is answered; false: the service is not there.
func (w *world) one(s *service) bool {
	for {
		at := time.Now()
		status, err := w.server.do("PATCH", s.location+"/liveness", `{"state":"ACTIVE"}`, nil)
		now := time.Now()
		w.mu.Lock()
		s.tried = now
		switch {
		case err == nil && status < 300:
			w.beats.Add(1)
			if w.silent(s, now) {
				if s.open {
					s.open = false // told already
				} else {
					s.gaps++
				}
			}
			s.sent, s.acked = at, now
			w.mu.Unlock()
			return true
		case err == nil && status == http.StatusNotFound:
			if !s.gone && !w.mayBeRemoved(s, now) {
				w.falsely++
				w.fault("%s was answered 404 %v after its last heartbeat", s.id, now.Sub(s.sent))
			}
			s.gone = true
			w.mu.Unlock()
			return false
		}
		gone := s.gone
		w.mu.Unlock()
		if gone || w.over.Load() {
			return !gone
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// silent says whether the platform was right to suspend a service at a moment: for a
// whole window it ran and heard nothing, all before a pause or after it. mu is held.
func (w *world) silent(s *service, now time.Time) bool {
	const slack = 100 * time.Millisecond // between a signal and its note
	first, rest := time.Duration(0), time.Duration(0)
	from := s.sent
	troubled := false
	for _, tr := range w.troubles {
		if tr.brief || !tr.to.After(s.sent) {
			continue
		}
		part := max(tr.from.Sub(from), 0)
		if troubled {
			rest += part
		} else {
			first, troubled = part, true
		}
		from = tr.to
	}
	if troubled {
		rest += now.Sub(from)
	} else {
		first = now.Sub(from)
	}
	return first >= window-slack || rest >= window-slack
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

// end deletes a service, however often that must be asked for.
func (w *world) end(s *service) {
	w.mu.Lock()
	s.ending = true
	w.mu.Unlock()
	for {
		status, err := w.server.do("DELETE", s.location, "", nil)
		if err == nil && (status == http.StatusNoContent || status == http.StatusNotFound) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.mu.Lock()
	s.gone = true
	w.deleted++
	w.mu.Unlock()
}

// beatOn ends a life: beating until the world is judged, or silent.
func (w *world) beatOn(s *service, alive bool) {
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
				if !w.one(s) {
					return
				}
			}
		}
	}()
}

// trouble kills and pauses the platform until the end.
func (w *world) trouble(rnd *rand.Rand, end time.Time) {
	for {
		quiet := time.Duration(3000+rnd.IntN(9000)) * time.Millisecond
		if *length < time.Minute {
			quiet /= 3
		}
		kill, down := rnd.IntN(2) == 0, time.Duration(200+rnd.IntN(4000))*time.Millisecond
		time.Sleep(min(quiet, max(time.Until(end), 0)))
		if !time.Now().Before(end) {
			return
		}
		from := time.Now()
		if kill {
			w.server.kill()
			time.Sleep(down / 4)
			w.server.launch()
		} else {
			w.server.signal(syscall.SIGSTOP)
			time.Sleep(down)
			w.server.signal(syscall.SIGCONT)
		}
		to := time.Now()
		w.mu.Lock()
		w.troubles = append(w.troubles, trouble{from, to, !kill && to.Sub(from) < noticed})
		if kill {
			w.kills++
		} else {
			w.pauses++
		}
		w.mu.Unlock()
	}
}

// poll discovers five times a second and judges what it sees.
func (w *world) poll() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-tick.C:
		}
		var list []struct {
			ID string `json:"serInstanceId"`
		}
		w.mu.Lock()
		type hope struct {
			s    *service
			sent time.Time
		}
		var must []hope
		for _, s := range w.services {
			if !s.ending && !s.gone {
				must = append(must, hope{s, s.sent})
			}
		}
		w.mu.Unlock()
		at := time.Now()
		status, err := w.server.do("GET", base+"/services", "", &list)
		now := time.Now()
		if err != nil || status != http.StatusOK {
			continue
		}
		shown := map[string]bool{}
		for _, m := range list {
			shown[m.ID] = true
		}
		w.mu.Lock()
		w.polls++
		for _, h := range must {
			if !shown[h.s.id] && now.Sub(h.sent) < window && !h.s.ending {
				w.falsely++
				w.fault("%s was hidden %v after a heartbeat that was acknowledged", h.s.id, now.Sub(h.sent))
			}
			w.lateness(h.s, shown[h.s.id], at)
		}
		w.mu.Unlock()
	}
}

// lateness notes a death that discovery does not show yet, if nothing excuses it; mu
// is held.
func (w *world) lateness(s *service, shown bool, at time.Time) {
	if !shown || s.beating || s.gone {
		return
	}
	over := at.Sub(s.tried) - window
	for _, tr := range w.troubles {
		if at.Sub(tr.to) < window+15*time.Second && tr.to.After(s.sent) {
			return
		}
	}
	w.latest = max(w.latest, over)
	if over > 4*time.Second {
		w.late++
		if *strict {
			w.missed++
			w.fault("%s was discovered %v after its window", s.id, over)
		}
	}
}

func (w *world) halfOfTheNames() string {
	var names []string
	for i := 0; i < 1000; i += 2 {
		names = append(names, fmt.Sprintf("%q", fmt.Sprintf("even-%d", i)))
	}
	return `{"serNames":[` + strings.Join(names, ",") + `]}`
}

// settle waits until the platform agrees with the world, which only ends a broken run.
func (w *world) settle(consumers []*consumer) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if len(w.disagreements(consumers)) == 0 {
			return
		}
	}
}

// states are those that the platform has for what the world knows.
func (w *world) states() map[string]string {
	var list []struct{ SerInstanceID, State string }
	out := map[string]string{}
	w.mu.Lock()
	apps := map[string]bool{}
	for _, s := range w.services {
		apps["app-"+s.name] = true
	}
	w.mu.Unlock()
	for app := range apps {
		list = nil
		if status, err := w.server.do("GET", base+"/applications/"+app+"/services", "", &list); err != nil || status != http.StatusOK {
			return nil
		}
		for _, m := range list {
			out[m.SerInstanceID] = m.State
		}
	}
	return out
}

// disagreements are what the platform or its consumers still see otherwise.
func (w *world) disagreements(consumers []*consumer) (out []string) {
	is := w.states()
	if is == nil {
		return []string{"the platform does not answer"}
	}
	w.mu.Lock()
	for id, s := range w.services {
		switch state := is[id]; {
		case s.gone && state != "", s.beating && !s.gone && state != "ACTIVE":
			out = append(out, fmt.Sprintf("%s: gone %v, beating %v, and the platform says %q", id, s.gone, s.beating, state))
		case !s.gone && !s.beating && state == "ACTIVE":
			out = append(out, fmt.Sprintf("%s: dead since %v and ACTIVE: a missed death", id, time.Since(s.tried)))
		}
	}
	w.mu.Unlock()
	for _, c := range consumers {
		out = append(out, c.behind(is)...)
	}
	return out
}

// judge counts what is still wrong in the end.
func (w *world) judge(consumers []*consumer) {
	for _, d := range w.disagreements(consumers) {
		w.mu.Lock()
		if strings.Contains(d, "missed death") {
			w.missed++
		} else {
			w.lost++
		}
		w.fault("%s", d)
		w.mu.Unlock()
	}
	for _, c := range consumers {
		c.mu.Lock()
		w.mu.Lock()
		w.lost += c.wrong
		w.mu.Unlock()
		c.mu.Unlock()
	}
}
