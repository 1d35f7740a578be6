package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/cmd/revision"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/spelling"
)

// explain prints the help of mepserver, or of one of its commands.
func explain(_ context.Context, p environment, _ conf.Config, g given) error {
	text := help
	if len(g.args) > 0 {
		c, is := commandIn(g.args)
		if !is || len(strings.Fields(c.name)) < len(g.args) {
			return notACommand(nil, []string{strings.Join(g.args, " ")})
		}
		text = c.help
	}
	_, err := io.WriteString(p.out, text)
	return err
}

func printVersion(_ context.Context, p environment, _ conf.Config, _ given) error {
	_, err := fmt.Fprintln(p.out, "mepserver", revision.Describe(version))
	return err
}

// farthest is how many letters a word may be off to be taken for a command that is spelt wrongly.
const farthest = 2

// notACommand is the error of a command line whose words begin no command.
func notACommand(line, words []string) error {
	if c, is := commandIn(words); is && len(words) < len(line) {
		return fmt.Errorf("the command comes first: mepserver %s, and then its flags", c.name)
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	nearest := slices.MinFunc(names, func(a, b string) int {
		return cmp.Compare(spelling.Distance(words[0], a), spelling.Distance(words[0], b))
	})
	if off := spelling.Distance(words[0], nearest); off <= farthest && off < len(nearest) {
		return fmt.Errorf("there is no command %q; is it mepserver %s? mepserver help lists all", words[0], nearest)
	}
	return fmt.Errorf("there is no command %q; mepserver help lists all", words[0])
}

// called is how a shell calls this program again from where it was called.
func (p environment) called() string {
	switch {
	case p.program == "":
		return "mepserver"
	case strings.Contains(filepath.ToSlash(p.program), "/go-build"): // where go run makes it, and removes it
		return "go run ./cmd/mepserver"
	}
	return quoted(terminal.Cell(p.program))
}
