package conformance

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
)

const reportFile = "../../docs/conformance.md"

var groups = []struct{ prefix, title, text string }{
	{"APPSAQ_", "Services of an application (APPSAQ)", ""},
	{"SAQ_", "Discovery (SAQ)", ""},
	{"TRANS_", "Transports (TRANS)", ""},
	{"SRVSUB_", "Subscriptions (SRVSUB)", ""},
	{"MSL_", "Service liveness (MSL)", ""},
	{"REGAPPS_", "Registration of applications (REGAPPS)", ""},
	{"APPSUB_", "Subscriptions to terminations (APPSUB)", ""},
	{"CONFTASK_", "Confirmations of applications (CONFTASK)", ""},
	{"TIME_", "The time (TIME)", ""},
	{"TRAF_", "Traffic rules (TRAF)", ""},
	{"DNS_", "DNS rules (DNS)", ""},
	{"OWN_", "What no ETSI test covers", "Behaviours of MEC 011 that its conformance suites do not look at."},
}

const preface = `# Conformance to ETSI GS MEC 011

Written by ` + "`go test ./test/conformance -update`" + `; the same tests without the flag fail when this page is stale. Each line is a test purpose of ETSI GS
MEC-DEC 032-2 (as Robot code in 032-3) under its id, run over HTTP against the built program, as the Go test ` + "`Test<id>`" + `. Clauses are those of
ETSI GS MEC 011 v3.1.1.

Where the published suites contradict themselves the text of the purpose counts: MSL registers ACTIVE services and follows the link of the answer;
REGAPPS_001_BR_01 says isInsByMec (without it, it is the data of REGAPPS_001_OK_02); SRVSUB ids come from the Location; CONFTASK_001_OK has a termination begin before it is confirmed; rules are defined before they are asked for. Everything else is as they send it.
`

// all are the ids of every test of this package.
func all() ([]string, error) {
	files, err := os.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" {
				out = append(out, strings.TrimPrefix(fn.Name.Name, "Test"))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// report writes the page, or compares it, when every test has run.
func report(passed bool) error {
	ids, err := all()
	if err != nil {
		return err
	}
	ran := slices.Sorted(maps.Keys(purposes))
	if !slices.Equal(ids, ran) {
		if *update {
			return fmt.Errorf("conformance: run all tests to write %s; %d of %d ran", reportFile, len(ran), len(ids))
		}
		return nil
	}
	var b bytes.Buffer
	b.WriteString(preface)
	counts := map[string]int{}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", g.title)
		if g.text != "" {
			fmt.Fprintf(&b, "%s\n\n", g.text)
		}
		b.WriteString("| test | what is sent, and what must come | clause | result |\n|---|---|---|---|\n")
		for _, id := range ids {
			if p := purposes[id]; strings.HasPrefix(id, g.prefix) {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", id, p.text, p.clause, p.result)
				counts[p.result]++
			}
		}
	}
	if n := counts["passed"] + counts["failed"] + counts["skipped"]; n != len(ids) {
		return fmt.Errorf("conformance: %d tests, %d in the groups", len(ids), n)
	}
	fmt.Fprintf(&b, "\n%d tests: %d passed, %d failed, %d skipped.\n", len(ids), counts["passed"], counts["failed"], counts["skipped"])
	if *update {
		return os.WriteFile(reportFile, b.Bytes(), 0o644)
	}
	kept, err := os.ReadFile(reportFile)
	if err != nil {
		return err
	}
	if passed && !bytes.Equal(kept, b.Bytes()) {
		return fmt.Errorf("%s is stale; run: go test ./test/conformance -update", reportFile)
	}
	return nil
}
