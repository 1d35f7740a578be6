// Package docs reads the project's documents and runs what they tell a reader to type.
// It knows Markdown's fenced blocks and the marker above each; it must not know what the
// commands do.
//
// A marker is an HTML comment in the line above a block. It says what becomes of the block:
//
//	<!-- run -->            typed into the reader's shell; it must end, with status 0
//	<!-- run: NAME -->      started in another terminal, where it goes on. What ran in that
//	                        terminal before gets Ctrl-C first
//	<!-- prints -->         what the run above printed; … stands for anything in a line, and
//	                        a line of … alone for any number of lines
//	<!-- prints: NAME -->   what was printed in that terminal, from its start
//	<!-- file: NAME -->     saved under this name in the folder where the shell is
//	<!-- checked: NAME -->  not run here, but looked at by the check of that name
//	<!-- stop: NAME -->     no block follows: Ctrl-C in that terminal
package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Block is one fenced block, or a marker that stands alone.
type Block struct {
	Line  int    // of the marker
	Do    string // run, prints, file, checked or stop
	Name  string // what follows the colon, "" without one
	Lang  string // what follows the fence
	Text  string // with a line feed at the end of each line
	Place string // the path of the document
}

// Fault is a block that nothing checks, or a marker that says nothing.
type Fault struct {
	Line int
	Text string
}

var (
	marker = regexp.MustCompile(`^<!-- (run|prints|file|checked|stop)(?:: ([^>]*\S))? -->$`)
	almost = regexp.MustCompile(`^\s*<!--\s*(run|prints|file|checked|stop)\b`)
	fence  = regexp.MustCompile("^(\\s*)(```+|~~~+)(.*)$")
)

// pictures are drawn by whoever shows the document: there is nothing to run.
var pictures = []string{"mermaid"}

// Parse reads the blocks of a document in their order, and what is wrong with them.
func Parse(path, text string) (blocks []Block, faults []Fault) {
	add := func(line int, format string, args ...any) {
		faults = append(faults, Fault{line, fmt.Sprintf(format, args...)})
	}
	lines := strings.Split(text, "\n")
	var above *Block // the marker in the line above
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		f := fence.FindStringSubmatch(line)
		if f == nil {
			if above != nil && above.Do != "stop" {
				add(above.Line, "the marker %q has no block below it", above.Do)
			}
			above = nil
			if m := marker.FindStringSubmatch(line); m != nil {
				above = &Block{Line: i + 1, Do: m[1], Name: m[2], Place: path}
				if above.Do == "stop" {
					blocks = append(blocks, *above)
				}
			} else if almost.MatchString(line) {
				add(i+1, "is no marker: %s", line)
			}
			continue
		}
		begin, end := i+1, i+1
		for end < len(lines) && strings.TrimRight(lines[end], " ") != f[1]+f[2] {
			end++
		}
		i = end
		lang := strings.TrimSpace(f[3])
		switch {
		case end == len(lines):
			add(begin, "the block never ends")
		case f[1] != "" || f[2] != "```":
			add(begin, "a block begins with ``` at the edge, so that it is seen here")
		case slices.Contains(pictures, lang):
		case above == nil:
			add(begin, "a block that nothing runs: no marker stands above it")
		default:
			above.Lang, above.Text = lang, strings.Join(append(slices.Clone(lines[begin:end]), ""), "\n")
			if why := above.fault(blocks); why != "" {
				add(above.Line, "%s", why)
			}
			blocks = append(blocks, *above)
		}
		above = nil
	}
	if above != nil && above.Do != "stop" {
		add(above.Line, "the marker %q has no block below it", above.Do)
	}
	return blocks, faults
}

// fault is what is wrong with a block behind those before it; "": nothing.
func (b Block) fault(before []Block) string {
	switch {
	case b.Do == "stop":
		return "stop has no block"
	case b.Lang == "":
		return "the block names no language"
	case b.Do == "run" && b.Lang != "sh":
		return "run takes sh, not " + b.Lang
	case (b.Do == "file" || b.Do == "checked") && b.Name == "":
		return b.Do + " needs a name"
	case b.Do == "prints" && b.Name == "" && (len(before) == 0 || before[len(before)-1].Do != "run" || before[len(before)-1].Name != ""):
		return "prints has no run above it"
	case b.Do == "prints" && b.Name != "" && !slices.ContainsFunc(before, func(o Block) bool { return o.Do == "run" && o.Name == b.Name }):
		return "nothing runs in a terminal of the name " + b.Name
	}
	return ""
}

// Printed is the pattern of a whole output that a block of prints shows.
func (b Block) Printed() *regexp.Regexp {
	var p strings.Builder
	p.WriteString(`^`)
	for line := range strings.Lines(b.Text) {
		line = strings.TrimRight(line, " \n")
		if line == "…" {
			p.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		p.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`) + `\n`)
	}
	p.WriteString(`$`)
	return regexp.MustCompile(p.String())
}
