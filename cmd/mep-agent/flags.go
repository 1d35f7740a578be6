package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const help = `mep-agent registers the services of an application at a MEC platform (ETSI GS
MEC 011, Mp1) and keeps them alive.

  mep-agent listen HOST:PORT   print the notifications that a platform sends here
                               as a callback, one line each, until interrupted

  --version                    print the version and exit
  --help                       print this and exit

HOST is an IP address or localhost; without one it is 127.0.0.1.
SIGTERM and SIGINT end it within ten seconds.
`

// command is what the command line asks for.
type command struct {
	name    string // "" is the agent itself
	listen  string
	version bool
}

// parse reads the arguments after the program's name. For --help it prints to out
// and returns flag.ErrHelp, which is a success; any other error is one line for the
// user.
func parse(args []string, out io.Writer) (command, error) {
	var c command
	fs := flag.NewFlagSet("mep-agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned, and printed by main alone
	fs.Usage = func() {}
	fs.BoolVar(&c.version, "version", false, "")
	if len(args) > 0 && args[0] == "listen" {
		c.name, args = args[0], args[1:]
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		if _, err := io.WriteString(out, help); err != nil {
			return command{}, fmt.Errorf("print help: %w", err)
		}
		return command{}, flag.ErrHelp
	case err != nil:
		return command{}, fmt.Errorf("%w; mep-agent --help lists the flags", err)
	}
	return c, c.arguments(fs.Args())
}

// arguments takes what follows the flags.
func (c *command) arguments(rest []string) error {
	switch {
	case c.version:
		return nil
	case c.name == "listen":
		if len(rest) != 1 {
			return errors.New("listen takes one address, such as 127.0.0.1:8088")
		}
		c.listen = rest[0]
		return nil
	case len(rest) > 0:
		return fmt.Errorf("unknown command %q; mep-agent --help lists them", rest[0])
	}
	return errors.New("a command is missing; mep-agent --help lists them")
}
