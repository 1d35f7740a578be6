package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
)

// command is what mepserver does instead of serving.
type command struct {
	name  string
	args  []string // names of its arguments, in order
	flags []string // its own, without a value
	help  string
	run   func(ctx context.Context, p process, c conf.Config, args []string, flags map[string]bool) error
}

// commands are all there are.
func commands() []command {
	return []command{
		{name: "check", help: `mepserver check [--data-dir DIR | --config FILE]

Examines the embedded store in DIR, of which no server runs, and prints what it
holds. Nothing is changed. Exit code 0: it is sound.
`, run: func(_ context.Context, p process, c conf.Config, _ []string, _ map[string]bool) error {
			if c.Store.Kind != conf.Embedded {
				return errors.New("only an embedded store can be checked; for a cluster use etcdctl endpoint health and etcdutl hashkv")
			}
			return servicecenter.Check(c.Store.DataDir, p.out)
		}},
	}
}

// commandIn finds the command that the arguments begin with.
func commandIn(args []string) (command, bool) {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return c, true
			}
		}
	}
	return command{}, false
}

// parse reads the arguments behind the command's name; flags and arguments may be mixed.
func (c command) parse(args []string, out io.Writer) (src conf.Sources, rest []string, own map[string]bool, err error) {
	fs := flag.NewFlagSet("mepserver "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	src.Flags = map[string]string{}
	file := fs.String("config", "", "")
	dir := fs.String("data-dir", "", "")
	given := map[string]*bool{}
	for _, name := range c.flags {
		given[name] = fs.Bool(name, false, "")
	}
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			_, err = io.WriteString(out, c.help)
			return src, nil, nil, errors.Join(flag.ErrHelp, err)
		} else if err != nil {
			return src, nil, nil, fmt.Errorf("%w; mepserver %s --help says how it is called", err, c.name)
		}
		if fs.NArg() == 0 {
			break
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
	if len(rest) != len(c.args) {
		return src, nil, nil, fmt.Errorf("%s takes %d arguments, not %d; mepserver %s --help says which", c.name, len(c.args), len(rest), c.name)
	}
	src.File = *file
	if *dir != "" {
		src.Flags["data-dir"] = *dir
	}
	own = map[string]bool{}
	for name, on := range given {
		own[name] = *on
	}
	return src, rest, own, nil
}

// do runs the command and returns the exit code.
func (c command) do(ctx context.Context, p process) int {
	src, args, flags, err := c.parse(p.args[1:], p.out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		src.Environ = p.environ
		var all conf.Config
		if all, err = conf.Load(src); err == nil {
			err = c.run(ctx, p, all, args, flags)
		}
	}
	if err != nil {
		fmt.Fprintln(p.errs, "mepserver:", err)
		return 1
	}
	return 0
}
