package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const help = `mep-agent registers the services of an application at a MEC platform (ETSI GS
MEC 011, Mp1) and keeps them alive.

  mep-agent [--config FILE]    do so until interrupted
  mep-agent check [--config FILE] [--offline] [-o json]
                               examine the configuration, reach the platform, and
                               say what would be done with each service; change
                               nothing. --offline: the configuration only
  mep-agent status [--config FILE | HOST:PORT] [--ready | --registered] [-o json]
                               print what a running agent knows of each service;
                               it needs local.listen, or the address. --ready:
                               print only whether every service is alive, and
                               which one is not, and why. --registered: the same,
                               but a platform that is away now is no reason
  mep-agent stop [PID]         stop the agent with this process id as SIGTERM does;
                               without one that of 1, the first of a container
  mep-agent listen HOST:PORT   print the notifications that a platform sends here
                               as a callback, one line each, until interrupted;
    [--verify URL|FILE|KEY [--ca FILE]] [--cert FILE --key FILE [--client-ca FILE]]
  mep-agent listen --websocket [URI [--ca FILE]] [--config FILE]
                               print what comes by the WebSocket of a subscription:
                               that of the URI, or without one a subscription of
                               the configured application to every change of
                               services, which it makes and removes at its end
  mep-agent example            print a configuration with every setting, explained

  --config FILE                read settings and services from a YAML file
  --verify URL|FILE|KEY        refuse what the platform has not signed, by the keys
                               at its URL, in a file (one on each line) or given
                               here (whpk_..., several separated by commas)
  --websocket                  need no address that the platform can reach
  --ca FILE                    certificates that sign that of the platform's URL
  --cert FILE, --key FILE      serve HTTPS; read again when they are replaced
  --client-ca FILE             want a client certificate that one of these signed
  -o table|json                print for people (table) or for programs
  --version                    print the version and exit
  --help                       print this and exit

An environment variable wins over the file. The variable of a setting is MEP_ and
its path: platform.endpoints is MEP_PLATFORM_ENDPOINTS. In an environment made
for EdgeGallery's agent (APPINSTID, MEP_IP, AK, SK, ...) no file is needed but
its conf/app_instance_info.yaml.
HOST is an IP address or localhost; without one it is 127.0.0.1.
SIGTERM and SIGINT end it within ten seconds.
Exit code 0: all is well. 1: it could not be done; the configuration or the
command has a fault, or no agent answers. 2: check could not use the platform or
local.listen, or status --ready or --registered found a service that is not.
`

// command is what the command line asks for.
type command struct {
	name    string // of subcommands; "": run the agent
	config  string
	address string // HOST:PORT of status; "": none was given
	listen  listenOptions
	pid     int  // of stop
	offline bool // of check
	ready   bool // of status
	entered bool // of status: --registered
	json    bool // of check and status
	version bool
}

// subcommands are the names that the command line may begin with, and the flags of each.
var subcommands = map[string][]string{
	"":        {"config"},
	"check":   {"config", "offline", "o"},
	"status":  {"config", "ready", "registered", "o"},
	"stop":    nil,
	"listen":  {"websocket", "config", "verify", "ca", "cert", "key", "client-ca"},
	"example": nil,
}

// parse reads the arguments after the program's name. For --help it prints the help to out
// and returns flag.ErrHelp, which is no failure. Any other error is one line for the user.
func parse(args []string, out io.Writer) (command, error) {
	var c command
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if _, known := subcommands[args[0]]; !known {
			return c, fmt.Errorf("unknown command %q; mep-agent --help lists them", args[0])
		}
		c.name, args = args[0], args[1:]
	}
	fs := c.flags()
	var rest []string
	for { // flags and arguments may be mixed
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			if _, err := io.WriteString(out, help); err != nil {
				return command{}, fmt.Errorf("print help: %w", err)
			}
			return command{}, flag.ErrHelp
		case err != nil:
			return command{}, fmt.Errorf("%w; mep-agent --help lists the flags", err)
		}
		if fs.NArg() == 0 {
			break
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
	var empty error
	fs.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" && f.Name != "o" {
			empty = fmt.Errorf("--%s must name a file", f.Name)
		}
	})
	if empty != nil {
		return command{}, empty
	}
	return c, c.parseRest(rest)
}

// flags are those of the command, which they write to.
func (c *command) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("mep-agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned, and printed by main alone
	fs.Usage = func() {}
	fs.BoolVar(&c.version, "version", false, "")
	own := subcommands[c.name]
	if slices.Contains(own, "config") {
		fs.StringVar(&c.config, "config", "", "")
	}
	if slices.Contains(own, "offline") {
		fs.BoolVar(&c.offline, "offline", false, "")
	}
	if slices.Contains(own, "ready") {
		fs.BoolVar(&c.ready, "ready", false, "")
	}
	if slices.Contains(own, "registered") {
		fs.BoolVar(&c.entered, "registered", false, "")
	}
	if slices.Contains(own, "websocket") {
		fs.BoolVar(&c.listen.webSocket, "websocket", false, "")
	}
	for name, value := range map[string]*string{"verify": &c.listen.verify, "ca": &c.listen.ca, "cert": &c.listen.cert, "key": &c.listen.key, "client-ca": &c.listen.clientCA} {
		if slices.Contains(own, name) {
			fs.StringVar(value, name, "", "")
		}
	}
	if slices.Contains(own, "o") {
		fs.Func("o", "", func(form string) error {
			c.json = form == "json"
			if !c.json && form != "table" {
				return errors.New("must be table or json")
			}
			return nil
		})
	}
	return fs
}

// parsePID reads the process id of stop.
func (c *command) parsePID(rest []string) (err error) {
	c.pid = 1
	if len(rest) == 1 {
		if c.pid, err = strconv.Atoi(rest[0]); err != nil || c.pid < 1 {
			return fmt.Errorf("%q is no process id", rest[0])
		}
	}
	return nil
}

// parseRest reads what is no flag.
func (c *command) parseRest(rest []string) error {
	switch {
	case c.version:
		return nil
	case c.name == "listen":
		return c.listen.parseRest(rest, c.config)
	case c.ready && c.entered:
		return errors.New("status takes --ready or --registered, not both")
	case c.name == "status" && len(rest) == 1 && c.config != "":
		return errors.New("status takes an address or --config, not both")
	case c.name == "status" && len(rest) == 1:
		c.address = rest[0]
		return nil
	case c.name == "stop" && len(rest) <= 1:
		return c.parsePID(rest)
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q; mep-agent --help lists what there is", rest[0])
	}
	return nil
}
