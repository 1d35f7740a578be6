package agent

import "time"

// lateness is what is said of heartbeats that were sent late.
type lateness struct {
	sent  int           // since the last tick
	worst time.Duration // of them
	said  bool          // that there are some
	quiet int           // ticks without any since
}

// maxQuiet is how many ticks without late heartbeats end a time of them.
const maxQuiet = 60

// noteLateness counts a heartbeat that is sent more than a quarter of its interval after it
// was due. A heartbeat that is tried again was not due before.
func (a *Agent) noteLateness(t *timer, now time.Time) {
	r := t.of
	if r == nil || t != &r.timer || r.stage != beating {
		return
	}
	if late := now.Sub(t.due); late > r.interval/4 {
		a.metrics.late.Inc()
		a.lateness.sent++
		a.lateness.worst = max(a.lateness.worst, late)
	}
}

// warnOfLateness logs the first heartbeats that were late, and when there were none for a
// while. It is called once a tick.
func (a *Agent) warnOfLateness() {
	a.mu.Lock()
	l, busy := a.lateness, a.pools[urgentPool].busy
	a.lateness.sent, a.lateness.worst = 0, 0
	switch {
	case l.sent > 0:
		a.lateness.said, a.lateness.quiet = true, 0
	case l.said:
		if a.lateness.quiet++; a.lateness.quiet >= maxQuiet {
			a.lateness.said = false
		}
	}
	over := l.said && !a.lateness.said
	a.mu.Unlock()
	switch {
	case l.sent > 0 && !l.said:
		a.log.Warn("heartbeats are sent late: the platform is too far away or too slow, or this machine is",
			"heartbeats", l.sent, "late", l.worst.Round(time.Millisecond).String(), "requests under way", busy, "at most", maxUrgent)
	case over:
		a.log.Info("heartbeats are sent in time again")
	}
}
