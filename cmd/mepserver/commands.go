package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/admin"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
)

// command is what mepserver does instead of serving.
type command struct {
	name  string
	args  []string // names of its arguments, in order
	flags []string // its own, without a value
	help  string
	run   func(ctx context.Context, p environment, c conf.Config, args []string, flags map[string]bool) error
}

// commands are all there are.
func commands() []command {
	return []command{
		{name: "check", help: `mepserver check [--data-dir DIR | --config FILE]

Examines the embedded store in DIR, of which no server runs, and prints what it
holds. Nothing is changed. Exit code 0: it is sound.
`, run: func(_ context.Context, p environment, c conf.Config, _ []string, _ map[string]bool) error {
			if c.Store.Kind != conf.Embedded {
				return errors.New("only an embedded store can be checked; for a cluster use etcdctl endpoint health and etcdutl hashkv")
			}
			return servicecenter.Check(c.Store.DataDir, p.out)
		}},
		{name: "backup", args: []string{"FILE"}, flags: []string{"force"}, help: `mepserver backup FILE [--force] [--data-dir DIR | --config FILE]

Writes a backup of the embedded store to FILE, which appears when it is complete
and checked. A running server is asked by its admin socket and goes on as before;
of a stopped one the store in DIR is opened. --force replaces FILE, if it is a file
and does not lie in DIR.
`, run: backup},
		{name: "restore", args: []string{"FILE"}, help: `mepserver restore FILE [--data-dir DIR | --config FILE]

Makes the embedded store in DIR, which must hold nothing, of a backup in FILE.
All that were alive then get a full window in which to send a heartbeat.
`, run: func(ctx context.Context, p environment, c conf.Config, args []string, _ map[string]bool) error {
			if c.Store.Kind != conf.Embedded {
				return errors.New("only an embedded store is restored by this command; for a cluster use etcdutl snapshot restore")
			}
			return servicecenter.Restore(ctx, args[0], c.Store.DataDir, p.errs, p.out, p.fail)
		}},
		{name: "example", help: `mepserver example

Prints a configuration for --config with every setting, its default and what it
does.
`, run: func(_ context.Context, p environment, _ conf.Config, _ []string, _ map[string]bool) error {
			_, err := p.out.Write(conf.ServerExample())
			return err
		}},
	}
}

// backup asks the running server, or opens the store itself if there is none.
func backup(ctx context.Context, p environment, c conf.Config, args []string, flags map[string]bool) error {
	if err := servicecenter.BackupTarget(args[0], flags["force"], c.Store.DataDir); err != nil {
		return err
	}
	from, size, err := askServer(ctx, c)
	if errors.Is(err, admin.ErrNotServed) && c.Store.Kind == conf.Embedded {
		from, size, err = servicecenter.OfflineBackup(ctx, c.Store.DataDir, int64(c.Store.QuotaBytes), plugins.NewLog(p.errs, "WARN"), p.fail)
	}
	if err != nil {
		return err
	}
	err = servicecenter.SaveBackup(ctx, args[0], flags["force"], from, size, p.errs)
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "wrote %s (%d bytes)\n", args[0], size)
	return err
}

// askServer has the running server make a backup; admin.ErrNotServed: there is none.
func askServer(ctx context.Context, c conf.Config) (io.ReadCloser, int64, error) {
	path := c.AdminSocket()
	switch {
	case c.Store.Kind != conf.Embedded:
		return nil, 0, errors.New("only an embedded store is backed up by this command; for a cluster use etcdctl snapshot save")
	case path == "":
		return nil, 0, admin.ErrNotServed
	}
	return admin.Get(ctx, path, servicecenter.BackupRoute)
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
		what := "no arguments but flags"
		if len(c.args) > 0 {
			what = strings.Join(c.args, " ")
		}
		return src, nil, nil, fmt.Errorf("mepserver %s takes %s, not %q; --help says more", c.name, what, rest)
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
func (c command) do(ctx context.Context, p environment) int {
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
