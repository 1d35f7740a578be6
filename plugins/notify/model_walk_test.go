package notify

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

var walks = flag.Int("queue.walks", 60, "walks of each model of the queue")

// step is one thing that happens, by chance.
func (m *model) step(clocks bool) {
	switch n := m.r.IntN(100); {
	case n < 12:
		m.commit()
	case n < 14:
		m.terminate()
	case n < 17:
		m.subscribe()
	case n < 18:
		m.unsubscribe()
	case n < 30:
		r := m.one()
		if behind := int64(m.at - r.seen); behind > 0 {
			m.watch(r, r.seen+1+heartbeat.Revision(m.r.Int64N(behind)))
		}
	case n < 65:
		if c := m.anySub(); c != nil {
			m.send(c)
		}
	case n < 69:
		if c := m.anySub(); c != nil {
			m.takeOver(c, m.one())
		}
	case n < 77:
		m.choose(m.one())
	case n < 83:
		m.erase(m.one())
	case n < 85:
		m.crash(m.one())
	case n < 86:
		m.list(m.one())
	case n < 89:
		if c := m.anySub(); c != nil {
			c.down = !c.down
		}
	case n < 90 && clocks:
		r := m.one()
		r.wall += []time.Duration{24 * time.Hour, -24 * time.Hour, 6 * 365 * 24 * time.Hour, -6 * 365 * 24 * time.Hour}[m.r.IntN(4)]
		m.trace("the clock of %s is off by %s", r.name, r.wall)
	default:
		m.now += []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second, 10 * time.Second, 40 * time.Second, 5 * time.Minute}[m.r.IntN(6)]
	}
}

// settle ends all faults: everybody sees everything, consumers answer, and senders send
// until nothing is left. Then all that remains is to be erased.
func (m *model) settle() {
	m.trace("the faults end")
	m.settling = true
	for _, c := range m.subs {
		c.down = false
	}
	for range 2000 {
		quiet := true
		for _, r := range m.replicas {
			m.watch(r, m.at)
		}
		for _, id := range sortedKeys(m.subs) {
			c := m.subs[id]
			if c.by == nil {
				m.takeOver(c, m.replicas[0])
			}
			if c.by == nil { // one of the previous release does not know of it
				m.takeOver(c, m.replicas[len(m.replicas)-1])
			}
			if m.send(c) || len(c.q.pending)+len(c.q.putOff) > 0 || c.q.head != nil || c.q.cursorDue || c.q.cursor.Group != nil {
				quiet = false
			}
		}
		if quiet || m.broken != "" {
			break
		}
		m.now += 10 * time.Second
	}
	for _, id := range sortedKeys(m.subs) {
		c := m.subs[id]
		for _, at := range sortedKeys(m.all) {
			if _, lost := c.lost[at]; m.asks(c, m.all[at]) && !c.got[at] && !m.superseded(c, at) && !lost {
				m.fail("%s never got event %d", id, at)
			}
		}
	}
	for range 4 {
		m.now += 30 * time.Second
		for _, r := range m.replicas {
			m.choose(r)
			m.erase(r)
		}
	}
	if len(m.events) > 0 {
		m.fail("%d events are left that nobody waits for", len(m.events))
	}
}

// Every event is delivered, by whichever replica, under one id and in order; an event that
// is not pending is erased, and nothing else, however many replicas erase at once; and what
// does not match is not written.
func TestTheModelOfDeliveryHolds(t *testing.T) {
	for name, c := range map[string]struct {
		replicas, old int
		clocks        bool
		bound         int64
		flap          int
	}{
		"one replica":                           {1, 0, false, 0, 0},
		"three replicas that erase":             {3, 0, false, 0, 0},
		"clocks are set":                        {3, 0, true, 0, 0},
		"beside one of the previous release":    {3, 1, false, 0, 0},
		"beside two of the previous release":    {3, 2, false, 0, 0},
		"little may be kept":                    {3, 0, true, 1200, 0},
		"hardly anything may be kept":           {2, 0, false, 600, 0},
		"little, beside the previous release":   {3, 1, false, 1200, 0},
		"flapping":                              {1, 0, false, 0, 1},
		"flapping, three replicas":              {3, 0, true, 0, 2},
		"flapping, beside the previous release": {3, 1, false, 0, 1},
		"flapping, and little may be kept":      {3, 0, true, 1200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			posts, moves, putOff := 0, 0, 0
			for seed := range uint64(*walks) {
				m := newModel(seed, c.replicas, c.old)
				m.flap = c.flap
				for _, r := range m.replicas {
					r.flaps = plugins.NewFlaps(c.flap, flapPeriod)
				}
				if c.bound > 0 {
					m.retention = newRetention(c.bound, func() int64 { return 1 << 40 })
				}
				for range 400 {
					if m.step(c.clocks); m.broken != "" {
						break
					}
				}
				if m.broken == "" {
					m.settle()
				}
				require.Empty(t, m.broken, "seed %d\n%s", seed, m)
				putOff += m.putOff
				for _, s := range m.subs {
					posts, moves = posts+s.posts, moves+s.moves
					require.False(t, c.old == 0 && s.posts == 0 && s.moves > 0, "seed %d: %s got nothing, and its cursor was written", seed, s.sub.ID)
				}
			}
			require.NotZero(t, posts)
			require.Equal(t, c.flap > 0, putOff > 0)
			t.Logf("%d POSTs, %d cursors written, %d that say what is put off", posts, moves, putOff)
		})
	}
}
