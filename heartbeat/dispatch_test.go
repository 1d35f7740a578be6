package heartbeat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// engineCalls reads which identifiers stand in the body of each method of Engine.
func engineCalls(t *testing.T) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Body == nil {
				continue
			}
			star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			if of, ok := star.X.(*ast.Ident); !ok || of.Name != "Engine" {
				continue
			}
			said := map[string]bool{}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					said[id.Name] = true
				}
				return true
			})
			out[fn.Name.Name] = said
		}
	}
	return out
}

var arrow = regexp.MustCompile(`^\s*(?:--\s*(\w+)\s*)?-->\s*(\w+)|^\s*-\.\s*(\w+)\s*\.->\s*(\w+)`)

// undrawn says what a line of the drawing claims and the code does not do.
func undrawn(line string, calls map[string]map[string]bool) (arrows int, wrong []string) {
	line = strings.TrimSpace(line)
	from := regexp.MustCompile(`^\w+`).FindString(line)
	for rest := line[len(from):]; ; arrows++ {
		m := arrow.FindStringSubmatch(rest)
		if m == nil {
			if strings.TrimSpace(rest) != "" {
				wrong = append(wrong, "not understood: "+rest)
			}
			return arrows, wrong
		}
		work, to, queue, taker := m[1], m[2], m[3], m[4]
		does := calls[from][to]
		switch {
		case work != "": // given to the queue of work, whose workers do it
			does = calls[from][work] && calls["setUpWork"][work] && calls["setUpWork"][to]
		case queue != "":
			to = taker
			does = (calls[from][queue] || queue == "due" && calls[from]["postpone"]) && calls[taker][queue]
		}
		if calls[from] == nil || calls[to] == nil || !does {
			wrong = append(wrong, from+" → "+to+" "+work+queue)
		}
		from, rest = to, rest[len(m[0]):]
	}
}

func TestTheWayFromATickToAClaimIsDrawn(t *testing.T) {
	calls := engineCalls(t)
	doc, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, drawing, _ := strings.Cut(string(doc), "flowchart LR\n  tick")
	drawing, _, found := strings.Cut("  tick"+drawing, "```")
	arrows := 0
	for line := range strings.Lines(drawing) {
		n, wrong := undrawn(line, calls)
		arrows += n
		for _, w := range wrong {
			t.Errorf("drawn, and not in the code: %s", w)
		}
	}
	if !found || arrows < 20 {
		t.Errorf("the drawing has %d arrows", arrows)
	}
	for _, lie := range []string{"tick --> claim", "handleDue -- refutes --> claim", "followChange -. rateLimited .-> nextDue", "tick --> chase", "tick ==> handleAllDue"} {
		if _, wrong := undrawn(lie, calls); len(wrong) == 0 {
			t.Errorf("%q passes for true", lie)
		}
	}
}
