package soak

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// poll discovers five times a second and checks what it sees.
func (w *world) poll() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-tick.C:
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
		shown, err := w.server.Discover()
		now := time.Now()
		if err != nil {
			continue
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
func (w *world) settle(consumers []*listener) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if len(w.disagreements(consumers)) == 0 {
			return
		}
	}
}

// states are those that the platform has for what the world knows.
func (w *world) states() map[string]string {
	out := map[string]string{}
	w.mu.Lock()
	apps := map[string]bool{}
	for _, s := range w.services {
		apps["app-"+s.name] = true
	}
	w.mu.Unlock()
	for app := range apps {
		a, err := w.server.Try("GET", mep.ServicesOf(app), "")
		var list []struct{ SerInstanceID, State string }
		if err != nil || a.Status != http.StatusOK || json.Unmarshal(a.Body, &list) != nil {
			return nil
		}
		for _, m := range list {
			out[m.SerInstanceID] = m.State
		}
	}
	return out
}

// disagreements are what the platform or its consumers still see otherwise.
func (w *world) disagreements(consumers []*listener) (out []string) {
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

// countFaults counts what is still wrong in the end.
func (w *world) countFaults(consumers []*listener) {
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
