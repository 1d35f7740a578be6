package heartbeat

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/mec-liveness/mepserver/test/printed"
)

var update = flag.Bool("update", false, "write the tables into docs instead of comparing them")

// What is a table in the code is printed into the documentation, and held to it.
func TestTheStateTableIsDocumented(t *testing.T) {
	printed.Compare(t, *update, "../docs/architecture.md", "state table", "./heartbeat", tableMarkdown())
}

func TestTheStepTablesAreDocumented(t *testing.T) {
	printed.Compare(t, *update, "../docs/protocol.md", "step tables", "./heartbeat", stepsMarkdown())
}

// tableMarkdown prints the state table.
func tableMarkdown() string {
	var b strings.Builder
	b.WriteString("| from \\ event |")
	for _, e := range Events {
		fmt.Fprintf(&b, " %s |", e)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(Events)+1) + "\n")
	for _, s := range States {
		fmt.Fprintf(&b, "| %s |", s)
		for _, e := range Events {
			fmt.Fprintf(&b, " %s |", Next(s, e))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// String is the cell as the documentation shows it.
func (c Cell) String() string {
	switch {
	case errors.Is(c.Err, ErrNoCell):
		return "–"
	case c.Err != nil:
		return "refused: " + c.Err.Error()
	case c.Change == NoChange && c.To == Active:
		return c.To.String() + ", nothing written, nobody told"
	case c.Change == NoChange:
		return c.To.String() + ", nobody told"
	case c.To == None:
		return "removed, " + c.Change.String()
	default:
		return c.To.String() + ", " + c.Change.String()
	}
}

// stepsMarkdown prints the step table of each flow.
func stepsMarkdown() string {
	var b strings.Builder
	for _, t := range stepTables {
		flow, steps, lines := t.table()
		fmt.Fprintf(&b, "\n**%s**\n\n| at | came back | then | next |\n|---|---|---|---|\n", flow)
		for i, l := range lines {
			came := "otherwise"
			if i == 0 || lines[i-1].at != l.at {
				came = "whatever"
			}
			if l.came != nil {
				came = ""
			}
			for j, o := range l.came {
				came += [...]string{"", ", "}[min(j, 1)] + outcomeNames[o]
			}
			var next []string
			for _, to := range l.to {
				next = append(next, stepName(steps, to))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", steps[l.at], came, l.then, strings.Join(next, ", "))
		}
	}
	return b.String() + "\n"
}

var outcomeNames = [outcomes]string{"done", "conflict", "taken", "lease gone", "full", "unusable", "no reply"}

func stepName(steps []string, at uint8) string {
	if at == ended {
		return "end"
	}
	return steps[at]
}
