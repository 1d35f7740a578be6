package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// play runs a queue on a clock of its own. Its store takes every cursor.
type play struct {
	t     *testing.T
	q     *queue
	now   plugins.Instant
	store plugins.Cursor // what a restart would find
	posts []attempt
	moves []plugins.Cursor
	lost  map[stage]int64
	// answer says how attempt n (from 0) ends; nil: delivered.
	answer func(n int) result
	took   time.Duration // one POST
	kept   *retention
}

type attempt struct {
	at     plugins.Instant
	events string
	after  plugins.Cursor // what the store had when it began
}

const giveUpAfter = 24 * time.Hour

func newPlay(t *testing.T) *play {
	p := &play{t: t, store: plugins.Cursor{After: 10, At: 10}, lost: map[stage]int64{}}
	p.restart()
	return p
}

// termination asks for the termination of an application.
func termination(app string) mp1.Subscription {
	return mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType, CallbackReference: "http://consumer/", AppInstanceID: app}
}

// restart takes the queue up from the store, as another replica would.
func (p *play) restart() {
	half := func() float64 { return 0.5 } // no jitter
	p.q = newQueue(p.store, giveUpAfter, p.kept, half, func(why stage, lost []*message) { p.lost[why] += int64(len(lost)) })
	p.q.postedAt = p.now - groupInterval
}

// event makes revision at: what is "A S" (STATE_CHANGED to SUSPENDED of A), "A A" (to
// ACTIVE), "A +" or "A -" (ADDED, REMOVED), "A ~" (ATTRIBUTES_CHANGED), "A T" (A is being terminated), or "other".
func event(at heartbeat.Revision, what string, made plugins.Instant) *message {
	m := &message{at: at, made: int64(made), age: plugins.Age{Since: made}, change: mp1.StateChanged}
	name, kind, _ := strings.Cut(what, " ")
	if kind == "T" {
		m.terminated, m.terminate, m.change = name, &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: m.made}, ""
		return m
	}
	m.info = mp1.ServiceInfo{SerName: name, SerInstanceID: name, State: mp1.Active}
	switch kind {
	case "S":
		m.info.State = mp1.Suspended
	case "+":
		m.change = mp1.Added
	case "-":
		m.change = mp1.Removed
	case "~":
		m.change = mp1.AttributesChanged
	}
	return m
}

// add shows the queue an event that matches; the dispatcher shows it no "other".
func (p *play) add(at heartbeat.Revision, what string) {
	if what != "other" {
		p.q.add(event(at, what, p.now))
	}
}

// until lets time pass.
func (p *play) until(end plugins.Instant) *play {
	for range 100000 {
		a := p.q.next(p.now)
		switch a.kind {
		case waitUntil:
			require.Greater(p.t, a.until, p.now, "a wait that is over already would spin")
			if a.until > end {
				p.now = end
				return p
			}
			p.now = a.until
		case writeCursor:
			require.Equal(p.t, p.store.At, a.cursor.At, "moved from where it is")
			require.GreaterOrEqual(p.t, a.cursor.After, p.store.After, "a cursor never goes back")
			a.cursor.At++
			p.store = a.cursor
			p.moves = append(p.moves, a.cursor)
			p.q.cursorWritten(a.cursor.At)
		case sendPost:
			r := result{}
			if p.answer != nil {
				r = p.answer(len(p.posts))
			}
			p.posts = append(p.posts, attempt{p.now, listed(a.events), p.store})
			p.now += p.took
			p.q.posted(r, p.now)
		}
	}
	p.t.Fatal("the queue never rests")
	return nil
}

func listed(events []*message) string {
	var out []string
	for _, m := range events {
		out = append(out, fmt.Sprint(m.at))
	}
	return strings.Join(out, " ")
}

func (p *play) sent() (out []string) {
	for _, a := range p.posts {
		out = append(out, a.events)
	}
	return out
}

func (p *play) times() (out []time.Duration) {
	for _, a := range p.posts {
		out = append(out, a.at)
	}
	return out
}

func fails(outcome outcome) func(int) result {
	return func(int) result { return result{outcome: outcome} }
}
