package soak

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
)

// ref is one entry of a notification.
func ref(id, change, state string) string {
	return `{"serName":"even-1","serInstanceId":"` + id + `","changeType":"` + change + `","state":"` + state + `"}`
}

// What the soak must not let pass.
func TestTheSoakNoticesWhatIsToldWrongly(t *testing.T) {
	type post struct {
		id   string
		refs []string
	}
	now := time.Now()
	suspension := []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}
	for name, c := range map[string]struct {
		posts          []post
		troubles       []trouble
		beat           time.Duration // before now
		unanswered     time.Duration // another one, not answered; 0: none
		wrong, falsely int
	}{
		"nothing":                         {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE")}}, {"s-2-2", []string{ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: window},
		"a repetition":                    {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE")}}, {"s-1-1", []string{ref("a", "ADDED", "ACTIVE")}}}},
		"a repetition with another body":  {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE")}}, {"s-1-1", []string{ref("b", "ADDED", "ACTIVE")}}}, wrong: 1},
		"an older one later":              {posts: []post{{"s-5-5", []string{ref("a", "ADDED", "ACTIVE")}}, {"s-4-4", []string{ref("b", "ADDED", "ACTIVE")}}}, wrong: 1},
		"groups that overlap":             {posts: []post{{"s-1-5", []string{ref("a", "ADDED", "ACTIVE")}}, {"s-5-6", []string{ref("b", "ADDED", "ACTIVE")}}}, wrong: 1},
		"no id":                           {posts: []post{{"", []string{ref("a", "ADDED", "ACTIVE")}}}, wrong: 1},
		"a change before the addition":    {posts: []post{{"s-1-1", []string{ref("b", "STATE_CHANGED", "ACTIVE")}}}, wrong: 1},
		"suspended twice":                 {posts: []post{{"s-1-1", []string{ref("b", "ADDED", "ACTIVE"), ref("b", "STATE_CHANGED", "SUSPENDED"), ref("b", "STATE_CHANGED", "SUSPENDED")}}}, wrong: 1},
		"a change after the removal":      {posts: []post{{"s-1-1", []string{ref("b", "ADDED", "ACTIVE"), ref("b", "REMOVED", "ACTIVE"), ref("b", "STATE_CHANGED", "ACTIVE")}}}, wrong: 1},
		"suspended while it was heard":    {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: window / 2, falsely: 1},
		"suspended for a pause":           {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: 2 * window, troubles: []trouble{{from: now.Add(-2 * window), to: now.Add(-window / 4)}}, falsely: 1},
		"a silence over a kill":           {posts: suspension, beat: window * 7 / 4, troubles: []trouble{{from: now.Add(-window), to: now.Add(-window / 2), kill: true}}},
		"one that was too short":          {posts: suspension, beat: window * 13 / 8, troubles: []trouble{{from: now.Add(-window), to: now.Add(-window / 2), kill: true}}, falsely: 1},
		"too soon after a kill":           {posts: suspension, beat: window * 13 / 8, troubles: []trouble{{from: now.Add(-window * 7 / 8), to: now.Add(-window * 3 / 8), kill: true}}, falsely: 1},
		"a silence over a pause":          {posts: suspension, beat: window * 7 / 4, troubles: []trouble{{from: now.Add(-window), to: now.Add(-window / 2)}}, falsely: 1},
		"a pause that is none":            {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: window * 3 / 2, troubles: []trouble{{from: now.Add(-window), to: now.Add(-window / 2), brief: true}}},
		"collapsed after a pause":         {posts: []post{{"s-1-1", []string{ref("b", "ADDED", "ACTIVE"), ref("b", "STATE_CHANGED", "ACTIVE")}}}, troubles: []trouble{{from: now.Add(-window), to: now.Add(-window / 2)}}},
		"suspended a window after it":     {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: 3 * window, troubles: []trouble{{from: now.Add(-3 * window), to: now.Add(-window)}}},
		"two suspensions for one silence": {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED"), ref("a", "STATE_CHANGED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: window, falsely: 1},
		"back by one without an answer":   {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED"), ref("a", "STATE_CHANGED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: 3 * window, unanswered: window},
		"and suspended too early":         {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED"), ref("a", "STATE_CHANGED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: 3 * window, unanswered: window / 2, falsely: 1},
		"back by one, suspended twice":    {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED"), ref("a", "STATE_CHANGED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED"), ref("a", "STATE_CHANGED", "ACTIVE"), ref("a", "STATE_CHANGED", "SUSPENDED")}}}, beat: 3 * window, unanswered: window, falsely: 1},
		"removed too early":               {posts: []post{{"s-1-1", []string{ref("a", "ADDED", "ACTIVE"), ref("a", "REMOVED", "ACTIVE")}}}, beat: removal, falsely: 1},
	} {
		s := &service{id: "a", name: "even-1", sent: now.Add(-c.beat)}
		if c.unanswered > 0 {
			s.unanswered = now.Add(-c.unanswered)
		}
		w := &world{t: t, services: map[string]*service{"a": s}, troubles: c.troubles}
		told := &listener{w: w, everything: true, rnd: newRand(1), bodies: map[string]string{}, last: map[string]string{}}
		for _, p := range c.posts {
			r := httptest.NewRequest("POST", "/", strings.NewReader(`{"serviceReferences":[`+strings.Join(p.refs, ",")+`]}`))
			r.Header.Set("webhook-id", p.id)
			consumer.Handler(told.receive).ServeHTTP(httptest.NewRecorder(), r)
		}
		require.Equal(t, c.wrong, told.wrong, "%s: %v", name, w.faults)
		require.Equal(t, c.falsely, w.falsely, "%s: %v", name, w.faults)
	}
}

func TestTheSoakMissesWhatWasNotTold(t *testing.T) {
	w := &world{t: t, services: map[string]*service{"a": {id: "a", name: "even-1"}, "b": {id: "b", name: "odd-1"}}}
	all := &listener{w: w, last: map[string]string{"a": "ACTIVE", "b": "SUSPENDED"}}
	require.Empty(t, all.behind(map[string]string{"a": "ACTIVE", "b": "SUSPENDED"}))
	require.Len(t, all.behind(map[string]string{"a": "SUSPENDED", "b": "SUSPENDED"}), 1)
	require.Len(t, all.behind(map[string]string{"a": "ACTIVE"}), 1, "a removal that was not told")
	half := &listener{w: w, only: "even-", last: map[string]string{"a": "ACTIVE"}}
	require.Empty(t, half.behind(map[string]string{"a": "ACTIVE", "b": "SUSPENDED"}))
	half.last["b"] = "ACTIVE"
	require.Len(t, half.behind(map[string]string{"a": "ACTIVE", "b": "ACTIVE"}), 1, "told of what it did not ask for")
	suspended := &listener{w: w, state: "SUSPENDED", last: map[string]string{}}
	require.Len(t, suspended.behind(map[string]string{"a": "ACTIVE", "b": "SUSPENDED"}), 1)
}

func TestTheSoakNoticesALateDeath(t *testing.T) {
	now := time.Now()
	s := &service{id: "a", sent: now.Add(-20 * time.Second), tried: now.Add(-20 * time.Second)}
	w := &world{t: t, services: map[string]*service{"a": s}}
	w.lateness(s, false, now)
	require.Zero(t, w.late)
	w.lateness(s, true, now)
	require.Equal(t, 1, w.late)
	w.troubles = []trouble{{from: now.Add(-10 * time.Second), to: now.Add(-9 * time.Second)}}
	w.lateness(s, true, now)
	require.Equal(t, 1, w.late, "a restart excuses it for a while")
}
