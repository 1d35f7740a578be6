package meta

import (
	"fmt"
	"go/ast"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/test/docs"
)

// maxREADMELines is what somebody reads before deciding whether to try it.
const maxREADMELines = 120

var (
	link         = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	linked       = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	noAnchor     = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	testName     = regexp.MustCompile(`(-run )?\b(Test[A-Z]\w*)`)
	metric       = regexp.MustCompile(`\bmep_[a-z_]*[a-z]\b`)
	quotedMetric = regexp.MustCompile(`"(mep_[a-z_]*[a-z])"`)
	// ownPath is a file or folder of the repository, named as code.
	ownPath = regexp.MustCompile("`((?:agent|build|cmd|conf|docs|heartbeat|logs|mp1|plugins|test)(?:/[A-Za-z0-9_.-]+)*)`")
)

// indexes are the documents that link to every one of their kind.
var indexes = []struct{ of, index string }{{"docs", "docs/README.md"}, {"docs/adr", "docs/decisions.md"}}

// Documents keeps documents true: each block is run or checked by test/docs, links lead
// somewhere, tests, files and metrics that are named exist, the list of metrics and the indexes are
// complete, and README is short.
func Documents(t *Tree) []Finding {
	const rule = "documents"
	var out []Finding
	tests := t.testNames()
	for _, f := range t.Files {
		if path.Ext(f.Path) != ".md" || t.nested(f) {
			continue
		}
		add := func(line int, format string, args ...any) {
			out = append(out, Finding{rule, f.Path, line, fmt.Sprintf(format, args...)})
		}
		_, faults := docs.Parse(f.Path, string(f.Data))
		for _, fault := range faults {
			add(fault.Line, "%s", fault.Text)
		}
		if n := strings.Count(string(f.Data), "\n"); f.Path == "README.md" && n > maxREADMELines {
			add(0, "%d lines, limit %d", n, maxREADMELines)
		}
		history := f.Dir() == "docs/adr" // a decision may name what is gone since
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if why := t.leadsNowhere(f, m[1]); why != "" {
					add(i+1, "%s: %s", m[1], why)
				}
			}
			for _, m := range testName.FindAllStringSubmatch(line, -1) {
				known := slices.Contains(tests, m[2]) || m[1] != "" && slices.ContainsFunc(tests, func(n string) bool { return strings.HasPrefix(n, m[2]) })
				if !known && !history {
					add(i+1, "there is no test %s", m[2])
				}
			}
			for _, m := range metric.FindAllString(line, -1) {
				if !history && !t.inCode(`"`+m+`"`) {
					add(i+1, "there is no metric %s", m)
				}
			}
			for _, m := range ownPath.FindAllStringSubmatch(line, -1) {
				if !history && !t.has(m[1]) {
					add(i+1, "there is no %s", m[1])
				}
			}
		}
	}
	out = append(out, t.unlistedMetrics(rule)...)
	for _, i := range indexes {
		for _, f := range t.Files {
			if f.Dir() == i.of && path.Ext(f.Path) == ".md" && f.Path != i.index {
				rel := strings.TrimPrefix(f.Path, path.Dir(i.index)+"/")
				if !t.says(i.index, `\]\(`+regexp.QuoteMeta(rel)+`\)`) {
					out = append(out, Finding{rule, f.Path, 0, i.index + " does not link to it"})
				}
			}
		}
	}
	return out
}

// metricsDocument lists every metric, and is printed by the test that it names.
const metricsDocument = "docs/metrics.md"

// unlistedMetrics are names of metrics in the code that metricsDocument does not have.
func (t *Tree) unlistedMetrics(rule string) (out []Finding) {
	if !t.has(metricsDocument) {
		return nil
	}
	for _, f := range t.Files {
		if f.Go == nil || f.Test() || t.nested(f) || within(f.Dir(), "test") {
			continue
		}
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, m := range quotedMetric.FindAllStringSubmatch(line, -1) {
				if !t.says(metricsDocument, "`"+m[1]+"`") {
					out = append(out, Finding{rule, f.Path, i + 1, metricsDocument + " does not have " + m[1] + ": go test ./test/monitoring -run TestTheMetricsAreDocumented -update"})
				}
			}
		}
	}
	return out
}

// testNames are the tests, benchmarks and fuzz targets of the tree.
func (t *Tree) testNames() (names []string) {
	for _, f := range t.Files {
		if f.Go == nil || !f.Test() {
			continue
		}
		for _, d := range f.Go.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}

// inCode tells whether a text stands in the program's Go files.
func (t *Tree) inCode(text string) bool {
	return slices.ContainsFunc(t.Files, func(f File) bool { return f.Go != nil && !f.Test() && strings.Contains(string(f.Data), text) })
}

// has tells whether a path is a file or a folder of the tree.
func (t *Tree) has(p string) bool {
	p = path.Clean(p)
	return slices.ContainsFunc(t.Files, func(f File) bool { return f.Path == p || strings.HasPrefix(f.Path, p+"/") })
}

// leadsNowhere says what is wrong with the target of a link in f; "": nothing. What lies
// on other machines is not asked.
func (t *Tree) leadsNowhere(f File, target string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "is no link"
	case u.Scheme != "":
		return ""
	}
	p := f.Path
	if u.Path != "" {
		p = path.Join(f.Dir(), u.Path)
	}
	if !t.has(p) {
		return "leads to no file"
	}
	if u.Fragment == "" {
		return ""
	}
	for _, g := range t.Files {
		if g.Path == p && !slices.Contains(anchors(string(g.Data)), u.Fragment) {
			return "has no such heading"
		}
	}
	return ""
}

// anchors are the names that the headings of a document get on GitHub.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		plain := linked.ReplaceAllString(m[1], "$1")
		names = append(names, strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(plain), ""), " ", "-"))
	}
	return names
}
