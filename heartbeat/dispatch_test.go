package heartbeat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// engineCalls reads which identifiers stand in the body of each method of Engine.
func engineCalls(t *testing.T) map[string]map[string]bool {
	t.Helper()
	return callsIn(t, ".", func(fn *ast.FuncDecl) bool {
		if fn.Recv == nil {
			return false
		}
		star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
		if !ok {
			return false
		}
		of, ok := star.X.(*ast.Ident)
		return ok && of.Name == "Engine"
	})
}

// callsIn reads which identifiers stand in the bodies of the functions of a folder, by name.
func callsIn(t *testing.T, folder string, wanted func(*ast.FuncDecl) bool) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(folder, err)
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
			if !ok || fn.Body == nil || !wanted(fn) {
				continue
			}
			said := out[fn.Name.Name] // of another type, perhaps
			if said == nil {
				said = map[string]bool{}
			}
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
	drawn(t, "  tick", 20, calls)
	for _, lie := range []string{"tick --> claim", "handleDue -- refutes --> claim", "reschedule -. rateLimited .-> nextDue", "tick --> chase", "tick ==> handleAllDue"} {
		if _, wrong := undrawn(lie, calls); len(wrong) == 0 {
			t.Errorf("%q passes for true", lie)
		}
	}
	ends := map[string]map[string]bool{"see": {"Observe": true}} // a field, which engineRange sets
	for _, folder := range []string{".", "../plugins/servicecenter/store", "../plugins/notify"} {
		for from, to := range callsIn(t, folder, func(*ast.FuncDecl) bool { return true }) {
			if ends[from] == nil {
				ends[from] = map[string]bool{}
			}
			maps.Copy(ends[from], to)
		}
	}
	drawn(t, "  Follow", 16, ends)
	if _, wrong := undrawn("See --> attempt", ends); len(wrong) == 0 {
		t.Error("See does not attempt, and is drawn so")
	}
}

// drawn holds the drawing that begins so to what the functions do.
func drawn(t *testing.T, begin string, least int, calls map[string]map[string]bool) {
	t.Helper()
	doc, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, drawing, _ := strings.Cut(string(doc), "flowchart LR\n"+begin)
	drawing, _, found := strings.Cut(begin+drawing, "```")
	arrows := 0
	for line := range strings.Lines(drawing) {
		n, wrong := undrawn(line, calls)
		arrows += n
		for _, w := range wrong {
			t.Errorf("drawn, and not in the code: %s", w)
		}
	}
	if !found || arrows < least {
		t.Errorf("the drawing has %d arrows", arrows)
	}
}
