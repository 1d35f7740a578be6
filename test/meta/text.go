package meta

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// foreign matches what names one machine or one maker's workplace in place of
// the project. The patterns are put together so that this file holds no match.
var foreign = []struct {
	what string
	re   *regexp.Regexp
}{
	{"a path of one machine", regexp.MustCompile(`(^|[^A-Za-z0-9_.}$/-])/` + `(work|root|home/[a-z]+|Users/[A-Za-z]+)/`)},
	{"a tool that is not the project's", regexp.MustCompile(`(?i)\bfarm` + `-[a-z]|\bclau` + `de\b|\bcopi` + `lot\b|\bchat` + `gpt\b`)},
	{"a path of one machine", regexp.MustCompile(`\b[A-Z]:\\\\?` + `Users\\`)},
}

// Foreign finds paths and names in any tracked text that would mean nothing on
// another machine.
func Foreign(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Files {
		if f.Binary() || path.Base(f.Path) == "go.sum" {
			continue
		}
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, p := range foreign {
				if m := p.re.FindString(line); m != "" {
					out = append(out, Finding{"foreign", f.Path, i + 1, fmt.Sprintf("%s: %q", p.what, strings.TrimSpace(m))})
				}
			}
		}
	}
	return out
}

const maxADRLines = 40

var (
	adrName  = regexp.MustCompile(`^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md$`)
	adrTitle = regexp.MustCompile(`^# (\d{4})\. \S`)
)

// ADRs checks the decision records: NNNN-title.md, numbered once each without a
// gap, with the three sections in order, and short.
func ADRs(t *Tree) []Finding {
	const rule = "adr"
	var out []Finding
	next := 1
	for _, f := range t.Files {
		if f.Dir() != "docs/adr" {
			continue
		}
		add := func(format string, args ...any) {
			out = append(out, Finding{rule, f.Path, 0, fmt.Sprintf(format, args...)})
		}
		m := adrName.FindStringSubmatch(path.Base(f.Path))
		if m == nil {
			add("the name is not of the form NNNN-title.md")
			continue
		}
		if want := fmt.Sprintf("%04d", next); m[1] != want {
			add("the number must be %s, the next one", want)
		}
		next++
		text := strings.TrimRight(string(f.Data), "\n")
		if n := strings.Count(text, "\n") + 1; n > maxADRLines {
			add("%d lines, limit %d", n, maxADRLines)
		}
		if title := adrTitle.FindStringSubmatch(text); title == nil || title[1] != m[1] {
			add("the first line is not %q and a title", "# "+m[1]+".")
		}
		at := 0
		for _, section := range []string{"Context", "Decision", "Consequences"} {
			i := strings.Index(text[at:], "\n## "+section+"\n")
			if i < 0 {
				add("no section %q in its place", "## "+section)
				continue
			}
			at += i + 1
		}
	}
	return out
}
