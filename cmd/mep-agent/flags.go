package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const help = `mep-agent registers the services of an application at a MEC platform (ETSI GS
MEC 011, Mp1) and keeps them alive.

  mep-agent [--config FILE]    do so until interrupted
  mep-agent status [--config FILE]
                               print what a running agent knows of each service;
                               it needs local.listen in the configuration
  mep-agent listen HOST:PORT   print the notifications that a platform sends here
                               as a callback, one line each, until interrupted

  --config FILE                read settings and services from a YAML file;
                               conf/mep-agent.yaml shows all of them
  --version                    print the version and exit
  --help                       print this and exit

An environment variable wins over the file. The variable of a setting is MEP_ and
its path: platform.endpoints is MEP_PLATFORM_ENDPOINTS. In an environment made
for EdgeGallery's agent (APPINSTID, MEP_IP, AK, SK, ...) no file is needed but
its conf/app_instance_info.yaml.
HOST is an IP address or localhost; without one it is 127.0.0.1.
SIGTERM and SIGINT end it within ten seconds.
`

// command is what the command line asks for.
type command struct {
	name    string // "", status or listen
	config  string
	listen  string
	version bool
}

// parse reads the arguments after the program's name. For --help it prints the help to out
// and returns flag.ErrHelp, which is no failure. Any other error is one line for the user.
func parse(args []string, out io.Writer) (command, error) {
	var c command
	fs := flag.NewFlagSet("mep-agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned, and printed by main alone
	fs.Usage = func() {}
	if len(args) > 0 && (args[0] == "listen" || args[0] == "status") {
		c.name, args = args[0], args[1:]
	}
	fs.BoolVar(&c.version, "version", false, "")
	if c.name != "listen" {
		fs.StringVar(&c.config, "config", "", "")
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
	var empty bool
	fs.Visit(func(f *flag.Flag) { empty = empty || f.Name == "config" && c.config == "" })
	if empty {
		return command{}, errors.New("--config must name a file")
	}
	return c, c.parseRest(fs.Args())
}

// parseRest reads what follows the flags.
func (c *command) parseRest(rest []string) error {
	switch {
	case c.version:
		return nil
	case c.name == "listen":
		if len(rest) != 1 {
			return errors.New("listen takes one address, such as 127.0.0.1:8088")
		}
		c.listen = rest[0]
		return nil
	case len(rest) > 0 && c.name == "":
		return fmt.Errorf("unknown command %q; mep-agent --help lists them", rest[0])
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q; mep-agent --help lists what there is", rest[0])
	}
	return nil
}
