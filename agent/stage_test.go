package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/printed"
)

var update = flag.Bool("update", false, "write the stages into docs/agent.md")

// expected tells whether a cell is one that a service goes through, not a late answer.
func expected(from stage, e event) bool { return transitions[e].from[from] != 0 }

// The table as the design has it, written down a second time: what is expected, by the
// first letters of the stages it leads to. A dot is a late answer.
func TestEveryCellOfTheTable(t *testing.T) {
	letters := map[byte]stage{'s': searching, 'r': registering, 'u': updating, 'b': beating, 'v': verifying, 'c': checking, 'i': inactive, 'n': unmonitored, 'w': withdrawing, 'x': removing, 'd': deregistered}
	cells := map[event]string{
		//                        srubvcinwxd
		adopted:                 "bbb....b...",
		adoptedInactive:         "iii....i...",
		adoptedUnmonitored:      "nnn....n...",
		notListed:               "r..........",
		listOutdated:            ".s.........",
		registerFailed:          ".r.........",
		registerUnclear:         ".s.........",
		updateDue:               "...u..uu...",
		updateFailed:            "..b.....b..",
		updateFailedInactive:    "..i.....i..",
		updateFailedUnmonitored: "..n....nn..",
		heartbeatTaken:          "...b.......",
		verifyDue:               "...v.......",
		heartbeatRefused:        "...c.......",
		heartbeatFailed:         "...b.......",
		shownAlive:              "....bbb....",
		shownInactive:           "....iii....",
		livenessFailed:          "....bci....",
		doubled:                 "..wwwwww...",
		withdrawn:               "........s..",
		gone:                    "..s.ssss...",
		woken:                   "srubbcinwx.",
		removeDue:               "..xxxxxxx..",
		removed:                 ".ddddddddd.",
	}
	// where a late answer leads; what is not here leaves the stage as it is
	late := map[event]stage{adopted: beating, adoptedInactive: inactive, adoptedUnmonitored: unmonitored, notListed: registering,
		registerUnclear: searching, updateDue: updating, updateFailed: beating, updateFailedInactive: inactive, updateFailedUnmonitored: unmonitored, verifyDue: verifying,
		heartbeatRefused: checking, shownAlive: beating, shownInactive: inactive, gone: searching, removeDue: removing, removed: deregistered}
	require.Len(t, cells, len(events))
	for e, row := range cells {
		require.Len(t, row, len(stages)-1)
		for i := range row {
			from := searching + stage(i)
			want, answered := letters[row[i]]
			require.Equal(t, answered, expected(from, e), "%s, %s", from, e)
			if !answered {
				if want = late[e]; want == 0 || from == deregistered {
					want = from
				}
			}
			require.Equal(t, want, nextStage(from, e), "%s, %s", from, e)
		}
	}
}

func TestAnUnknownStageOrEventPanics(t *testing.T) {
	require.Panics(t, func() { nextStage(0, adopted) })
	require.Panics(t, func() { nextStage(deregistered, event(len(events))) })
	require.Panics(t, func() { nextStage(stage(len(stages)), adopted) })
	require.Panics(t, func() { nextStage(beating, event(len(events))) })
}

// The stage of a service changes nowhere but in step.
func TestEveryChangeOfAStageGoesThroughTheTable(t *testing.T) {
	// assigned says which functions assign to a field called stage.
	assigned := func(f *ast.File) (out []string) {
		for _, d := range f.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				a, ok := n.(*ast.AssignStmt)
				if !ok {
					return true
				}
				for _, left := range a.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "stage" {
						name := "?"
						if fn, ok := d.(*ast.FuncDecl); ok {
							name = fn.Name.Name
						}
						out = append(out, name)
					}
				}
				return true
			})
		}
		return out
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		all = append(all, assigned(f)...)
	}
	require.Equal(t, []string{"step"}, all)

	wrong, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f(r *registration) { r.id, r.stage = \"\", beating }", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"f"}, assigned(wrong), "what must be rejected")
}

// chaos answers as a platform might that forgets, refuses, fails and changes its mind.
func chaos(f *fakePlatform, rnd *rand.Rand) func(*http.Request, int) response {
	return func(r *http.Request, _ int) response {
		f.mu.Lock()
		defer f.mu.Unlock()
		write := r.Method == http.MethodPost || r.Method == http.MethodPut
		written, interval := 200, 10
		if r.Method == http.MethodPost {
			written = 201
		}
		shown := mp1.ServiceInfo{SerInstanceID: "id0001", State: mp1.Active, LivenessInterval: &interval,
			Links: &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/id0001/liveness"}}}
		switch n := rnd.IntN(12); {
		case n == 0:
			return respond(500, nil)
		case n == 1:
			return respond(404, nil)
		case n == 2:
			return respond(409, nil)
		case n == 3:
			return response{err: refusedDial()}
		case n == 4:
			clear(f.services)
		case n == 5 && write:
			shown.State = []mp1.State{mp1.Active, mp1.Inactive}[rnd.IntN(2)]
			return respond(written, shown)
		case n == 6 && write:
			shown.LivenessInterval, shown.Links = nil, nil
			return respond(written, shown)
		case n == 7 && !write && strings.HasSuffix(r.URL.Path, "/liveness"):
			return respond(200, mp1.ServiceLivenessInfo{State: mp1.Suspended, Interval: interval})
		case n < 10:
			for id, info := range f.services {
				info.State = []mp1.State{mp1.Active, mp1.Inactive}[rnd.IntN(2)]
				f.services[id] = info
			}
		}
		return response{}
	}
}

// live does in the loop's place what the loop does, in any order, until the agent stops.
func live(t *testing.T, a *Agent, rnd *rand.Rand) {
	r, now := a.registrations[0], time.Now()
	for range rnd.IntN(200) {
		now = now.Add(time.Duration(rnd.IntN(60)) * time.Second)
		switch n := rnd.IntN(10); {
		case n == 0:
			a.wake(now)
		case n == 1:
			a.probes.drop(&r.probeTimer)
			a.probeDone(r, now, []error{nil, errors.New("not well")}[rnd.IntN(2)])
		case n == 3 && rnd.IntN(4) == 0 && r.id != "":
			r.surplus = true
			a.reschedule(r)
		case n == 5 && rnd.IntN(20) == 0:
			_ = a.Remove(r.name) // it may be removed already
		case n == 4 && rnd.IntN(4) == 0:
			info := r.service.Info
			info.Version = fmt.Sprint(rnd.IntN(100))
			_ = a.Update(r.name, Service{Info: info, Probe: r.service.Probe}) // it may be removed
		case n == 2:
			r.listedAt = now.Add(-time.Hour)
		case a.searchTimer.index >= 0:
			a.requests.drop(&a.searchTimer)
			a.list(t.Context())(now)
		case r.timer.index >= 0:
			a.requests.drop(&r.timer)
			a.request(r)(t.Context())(now)
		}
	}
	_ = a.shutdown(t.Context()) // a platform that fails does not remove
}

// Every cell of the table that is expected is met, and no other, by services at a
// platform that does whatever a platform may do.
func TestTheTableIsWhatServicesGoThrough(t *testing.T) {
	met := map[[2]int]int{}
	rnd := rand.New(rand.NewPCG(1, 1))
	f := newFakePlatform(10)
	f.respond = chaos(f, rnd)
	o := options(f, 1)
	o.Services[0].Probe = &Probe{Failures: 1, Check: func(context.Context) error { return nil }}
	left := []mp1.ServiceInfo{serviceInfo("s0"), serviceInfo("s0")}
	left[0].SerInstanceID, left[1].SerInstanceID = "id0001", "id0001"
	left[0].LivenessInterval = nil
	left[1].Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/id0001/liveness"}}
	*left[1].LivenessInterval = 10
	unmet := func() bool {
		for e := range event(len(events)) {
			for from := range transitions[e].from {
				if expected(stage(from), e) && met[[2]int{from, int(e)}] == 0 {
					return true
				}
			}
		}
		return false
	}
	for life := 0; life < 200 || life < 10000 && unmet(); life++ {
		a, err := New(o)
		require.NoError(t, err)
		a.registrations[0].stepped = func(from stage, e event) { met[[2]int{int(from), int(e)}]++ }
		a.started = true
		a.saved = map[string]savedService{"s0": {ID: "id0001", Digest: "of another configuration"}}
		a.searchTimer.due = time.Now()
		a.requests.put(&a.searchTimer)
		if rnd.IntN(2) == 0 { // an earlier agent left a registration
			f.add("id0001", left[rnd.IntN(len(left))])
		}
		live(t, a, rnd)
	}
	for e := range event(len(events)) {
		for from := searching; int(from) < len(stages); from++ {
			if n := met[[2]int{int(from), int(e)}]; (n > 0) != expected(from, e) {
				t.Errorf("%s, %s: met %d times, expected: %v", from, e, n, expected(from, e))
			}
		}
	}
}

// markdown prints stages, events and table for the documentation.
func markdown() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> searching\n")
	for from := searching; int(from) < len(stages); from++ {
		for to := searching; int(to) < len(stages); to++ {
			var labels []string
			for e := range event(len(events)) {
				if from != to && expected(from, e) && nextStage(from, e) == to {
					labels = append(labels, e.String())
				}
			}
			if labels != nil {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", from, to, strings.Join(labels, ", "))
			}
		}
	}
	b.WriteString("```\n\n| stage | means | sends | `State` of /status |\n|---|---|---|---|\n")
	for _, s := range stages[searching:] {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.name, s.meaning, s.request, s.status)
	}
	b.WriteString("\n| event | means |")
	for _, s := range stages[searching:] {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	b.WriteString("\n" + strings.Repeat("|---", len(stages)+1) + "|\n")
	for e := range event(len(events)) {
		fmt.Fprintf(&b, "| %s | %s |", e, events[e].meaning)
		for from := searching; int(from) < len(stages); from++ {
			if to := nextStage(from, e); expected(from, e) {
				fmt.Fprintf(&b, " %s |", to)
			} else {
				fmt.Fprintf(&b, " (%s) |", to)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestTheStagesAreDocumented(t *testing.T) {
	printed.Compare(t, *update, "../docs/agent.md", "stages", "./agent", markdown())
}
