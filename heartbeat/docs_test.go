package heartbeat

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into docs instead of comparing them")

// What is a table in the code is printed into the documentation, and held to it.
func TestTheStateTableIsDocumented(t *testing.T) {
	documented(t, "../docs/architecture.md", "state table", "TestTheStateTableIsDocumented", tableMarkdown())
}

func TestTheStepTablesAreDocumented(t *testing.T) {
	documented(t, "../docs/protocol.md", "step tables", "TestTheStepTablesAreDocumented", stepsMarkdown())
}

// documented compares what stands between two marks of a document, or writes it there.
func documented(t *testing.T, file, what, test, want string) {
	t.Helper()
	begin := fmt.Sprintf("<!-- the %s, printed by `go test ./heartbeat -run %s -update` -->\n", what, test)
	end := fmt.Sprintf("<!-- end of the %s -->\n", what)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	shown, after, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		t.Fatalf("%s has no place for the %s: %q ... %q", file, what, begin, end)
	case shown == want:
	case !*update:
		t.Fatalf("%s shows another %s than the code has; run this test with -update.\nthe code's:\n%s", file, what, want)
	default:
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
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
	case c.Change == NoChange:
		return c.To.String() + ", nothing written, nobody told"
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
