package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/operate"
	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/admin"
)

// command is what mepserver does instead of serving.
type command struct {
	name  string   // one or two words
	args  []string // names of its arguments, in order; [ID] and all behind it may be left out
	flags []option // its own
	takes string   // the same in words; empty: args say it
	help  string
	// alone says that neither a file nor the environment sets anything for it.
	alone bool
	// serves says that it must go on although nobody reads what it prints.
	serves bool
	// files says that the files which the configuration names are looked at, too.
	files bool
	run   func(ctx context.Context, p environment, c conf.Config, g given) error
}

// option is a flag of a command; it has a value unless it is a switch.
type option struct {
	name   string
	toggle bool
	file   bool     // its value is a path
	values []string // all there are; nil: it may have others
}

// The exit codes of a command that did not succeed.
const (
	exitFailed      = 1 // it could not be done, was refused, or was called wrongly
	exitNotGood     = 2 // it was done, and what it found is not good
	exitUnreachable = 3 // no server answers
	exitNotFound    = 4 // there is no such service
)

// exitCode is the one of a command's error.
func exitCode(err error) int {
	switch {
	case errors.Is(err, operate.ErrNotGood):
		return exitNotGood
	case errors.Is(err, remote.ErrUnreachable), errors.Is(err, admin.ErrNotServed):
		return exitUnreachable
	case errors.Is(err, operate.ErrNotFound):
		return exitNotFound
	}
	return exitFailed
}

// given is what stands behind the name of a command.
type given struct {
	args   []string
	values map[string][]string // of the flags that were given, in order
}

// on says whether a switch was given.
func (g given) on(name string) bool { return g.last(name) == "true" }

// last is the last value of a flag; "": it was not given.
func (g given) last(name string) string {
	if all := g.values[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// has says whether a flag was given.
func (g given) has(name string) bool { return len(g.values[name]) > 0 }

// commandIn finds the command that the arguments begin with: one of two words before one that
// is the first of them.
func commandIn(args []string) (found command, is bool) {
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && slices.Equal(words, args[:len(words)]) && (!is || len(words) > len(strings.Fields(found.name))) {
			found, is = c, true
		}
	}
	return found, is
}

// read takes the value of one flag. The flag package calls it.
type read struct {
	toggle bool
	take   func(string)
}

func (r read) String() string   { return "" }
func (r read) IsBoolFlag() bool { return r.toggle }
func (r read) Set(v string) error {
	if r.toggle && v != "true" && v != "false" {
		return errors.New("it is true or false")
	}
	r.take(v)
	return nil
}

// parse reads the arguments behind the command's name; flags and arguments may be mixed.
func (c command) parse(args []string, out io.Writer) (src conf.Sources, g given, err error) {
	fs := flag.NewFlagSet("mepserver "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	g.values = map[string][]string{}
	own := c.flags
	if !c.alone {
		own = append(slices.Clone(own), local()...)
	}
	for _, o := range own {
		fs.Var(read{o.toggle, func(v string) { g.values[o.name] = append(g.values[o.name], v) }}, o.name, "")
	}
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			_, err = io.WriteString(out, c.help)
			return src, g, errors.Join(flag.ErrHelp, err)
		} else if err != nil {
			return src, g, fmt.Errorf("%w; mepserver %s --help says how it is called", err, c.name)
		}
		if fs.NArg() == 0 {
			break
		}
		g.args, args = append(g.args, fs.Arg(0)), fs.Args()[1:]
	}
	if err := c.count(g.args); err != nil {
		return src, g, err
	}
	for _, name := range slices.Sorted(maps.Keys(g.values)) {
		if slices.Contains(g.values[name], "") {
			return src, g, fmt.Errorf("--%s must not be empty; mepserver %s --help says how it is called", name, c.name)
		}
	}
	src.Flags = map[string]string{}
	if !c.alone {
		src.File = g.last("config")
		if dir := g.last("data-dir"); dir != "" {
			src.Flags["data-dir"] = dir
		}
	}
	return src, g, nil
}

// count says whether there are as many arguments as the command takes.
func (c command) count(args []string) error {
	least := slices.IndexFunc(c.args, func(name string) bool { return strings.HasPrefix(name, "[") })
	if least < 0 {
		least = len(c.args)
	}
	what := cmp.Or(c.takes, strings.Join(c.args, " "), "no arguments but flags")
	switch {
	case len(args) >= least && len(args) <= len(c.args):
		return nil
	case len(args) == 0:
		return fmt.Errorf("mepserver %s takes %s; --help says more", c.name, what)
	}
	return fmt.Errorf("mepserver %s takes %s, not %q; --help says more", c.name, what, args)
}

// do runs the command and returns the exit code.
func (c command) do(ctx context.Context, p environment) int {
	written := func() error { return nil }
	if q, ok := p.out.(*logs.Queue); ok && !c.serves {
		out := q.Patient(ctx) // what was asked for is not dropped
		p.out, written = out, out.Wait
	}
	src, g, err := c.parse(p.args[len(strings.Fields(c.name)):], p.out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var all conf.Config
	if err == nil && !c.alone {
		if src.Environ = p.environ; c.files {
			src.Rules = fileRules(time.Now())
		}
		all, err = conf.Load(src)
	}
	if err == nil {
		err = c.run(ctx, p, all, g)
	}
	if notWritten := written(); err == nil {
		err = notWritten
	}
	if errors.Is(err, remote.ErrUnreachable) && !p.names(g) {
		err = fmt.Errorf("%w, and no server has its data in ./data; --url, --config or --data-dir names another", err)
	}
	if err != nil {
		if !errors.Is(err, operate.ErrNotGood) && !errors.Is(err, logs.ErrClosed) { // what is not good was printed, and head wants no more
			fmt.Fprintln(p.errs, "mepserver:", err)
		}
		return exitCode(err)
	}
	return 0
}
