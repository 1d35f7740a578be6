package notify

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/test/printed"
)

var update = flag.Bool("update", false, "write the stages of an event into the documentation")

// lifecycle is the table once more, by hand: for each stage where the causes lead, in their
// order. 0: it must not happen.
var lifecycle = map[stage][]stage{
	stageQueued:       {stageSending, stageSkipped, stageSuperseded, stageSuperseded, 0, 0, stageConsumerGone, 0, stageShed, 0},
	stageSending:      {0, 0, 0, 0, stageRetrying, stageDelivered, stageConsumerGone, stageGivenUp, stageShed, 0},
	stageRetrying:     {0, 0, 0, 0, stageRetrying, stageDelivered, stageConsumerGone, stageGivenUp, stageShed, 0},
	stageSuperseded:   {0, 0, 0, 0, 0, 0, 0, 0, 0, stageSkipped},
	stageDelivered:    make([]stage, 10),
	stageGivenUp:      make([]stage, 10),
	stageConsumerGone: make([]stage, 10),
	stageShed:         make([]stage, 10),
	stageSkipped:      make([]stage, 10),
}

func TestEveryTransitionOfAnEventIsACellOfTheTable(t *testing.T) {
	require.Len(t, lifecycle, len(stages)-1)
	for from, row := range lifecycle {
		require.Len(t, row, len(causes))
		for by, want := range row {
			if want == 0 {
				require.Panics(t, func() { nextStage(from, cause(by)) }, "%s, %s", from, cause(by))
			} else {
				require.Equal(t, want, nextStage(from, cause(by)), "%s, %s", from, cause(by))
			}
		}
	}
	require.Panics(t, func() { nextStage(0, grouped) })
	require.Panics(t, func() { nextStage(stageQueued, cause(len(causes))) })
}

// A cause that counted events as lost in two different stages would report a part of them
// under the wrong one.
func TestLostEventsEndInOneStagePerCause(t *testing.T) {
	counted := map[stage]bool{}
	for by, c := range causes {
		ends := map[stage]bool{}
		for _, to := range c.to {
			if to != 0 {
				ends[to] = true
			}
		}
		require.NotEmpty(t, ends)
		if c.lost {
			require.Len(t, ends, 1, "%s", cause(by))
			for to := range ends {
				counted[to] = true
			}
		}
	}
	require.Len(t, counted, len(lossLabels))
	for to := range lossLabels {
		require.True(t, counted[to], "%s", to)
	}
}

// wander has a queue meet what may happen to it, by chance: events, all outcomes of a POST,
// cursors that are not written, restarts from the stored cursor, a store that retains too
// much, and time.
func wander(seed uint64, met func(from stage, by cause)) {
	r := rand.New(rand.NewPCG(seed, 11))
	stored, now, at := plugins.Cursor{After: 10, At: 10}, time.Hour, heartbeat.Revision(10)
	var all []*message
	var q *queue
	restart := func() {
		q = newQueue(stored, 2*time.Hour, newRetention(1500, func() int64 { return 1 << 20 }), r.Float64, nil)
		q.transitioned = met
		for _, m := range all {
			q.add(m)
		}
	}
	restart()
	for range 300 {
		switch n := r.IntN(20); {
		case n < 6:
			at++
			m := event(at, fmt.Sprint(r.IntN(4), []string{" S", " A", " ~"}[r.IntN(3)]), now)
			m.size = 100
			all = append(all, m)
			q.add(m)
		case n < 9:
			now += []time.Duration{50 * time.Millisecond, time.Second, 5 * time.Minute, 3 * time.Hour}[r.IntN(4)]
		case n == 9:
			restart()
		case n == 10 && r.IntN(10) == 0:
			q.shedTo = 200
		case n == 10 && r.IntN(3) == 0:
			q.connected(r.IntN(2) == 0)
		default:
			switch a := q.next(now); {
			case a.kind == sendPost && r.IntN(100) == 0:
				q.posted(result{outcome: gone}, now)
			case a.kind == sendPost:
				q.posted(result{outcome: []outcome{delivered, unreachable}[r.IntN(2)]}, now)
			case a.kind == writeCursor && r.IntN(10) == 0:
				q.cursorFailed(now)
			case a.kind == writeCursor:
				stored = a.cursor
				stored.At++
				q.cursorWritten(stored.At)
			}
		}
	}
}

// Every cell is met; by nextStage's panic no other is.
func TestTheTableIsWhatEventsGoThrough(t *testing.T) {
	met := map[stage]map[cause]bool{}
	for s := range lifecycle {
		met[s] = map[cause]bool{}
	}
	for seed := range uint64(400) {
		wander(seed, func(from stage, by cause) { met[from][by] = true })
	}
	for from, row := range lifecycle {
		for by, to := range row {
			require.Equal(t, to != 0, met[from][cause(by)], "%s, %s", from, cause(by))
		}
	}
}

// An event changes its stage nowhere but in transition.
func TestEveryEventThatEndsIsReleasedByATransition(t *testing.T) {
	callers := func(f *ast.File) (out []string) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if s, ok := call.Fun.(*ast.SelectorExpr); ok {
						of, ok := s.X.(*ast.Ident)
						if ok && of.Name == "q" && (s.Sel.Name == "release" || s.Sel.Name == "lost") {
							out = append(out, fn.Name.Name)
						}
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
		all = append(all, callers(f)...)
	}
	require.Equal(t, []string{"transition", "transition", "releaseAll", "releaseAll", "releaseAll", "releaseAll"}, all)

	wrong, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f(q *queue) { q.release(nil) }", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"f"}, callers(wrong), "what must be rejected")
}

// diagram prints stages, causes and transitions for the documentation.
func diagram() string {
	var b strings.Builder
	word := func(s stage) string { return strings.ReplaceAll(s.String(), " ", "_") }
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> queued: matches the filter\n")
	for from := stageQueued; int(from) < len(stages); from++ {
		for to := stageQueued; int(to) < len(stages); to++ {
			var labels []string
			for by, c := range causes {
				if c.to[from] == to && from != to {
					labels = append(labels, cause(by).String())
				}
			}
			if labels != nil {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", word(from), word(to), strings.Join(labels, ", "))
			}
		}
	}
	for s := stageQueued; int(s) < len(stages); s++ {
		if stages[s].final {
			fmt.Fprintf(&b, "  %s --> [*]\n", word(s))
		}
	}
	b.WriteString("```\n\n| stage | means | counted as lost under `reason` |\n|---|---|---|\n")
	for s := stageQueued; int(s) < len(stages); s++ {
		label := "–"
		if l := lossLabels[s]; l != "" {
			label = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s, stages[s].meaning, label)
	}
	b.WriteString("\n| cause | means | leads |\n|---|---|---|\n")
	for by, c := range causes {
		var ways []string
		for from := stageQueued; int(from) < len(stages); from++ {
			if to := c.to[from]; to != 0 {
				ways = append(ways, fmt.Sprintf("%s → %s", from, to))
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cause(by), c.meaning, strings.Join(ways, "; "))
	}
	return b.String()
}

func TestTheStagesOfAnEventAreDocumented(t *testing.T) {
	printed.Compare(t, *update, "../../docs/delivery.md", "stages", "./plugins/notify", diagram())
}
