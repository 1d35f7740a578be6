package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/mec-liveness/mepserver/conf"
)

// help is complete by itself: the flag package's own list shows neither the
// form of a value nor what happens without it.
const help = `mepserver is a MEC platform's service registry (ETSI GS MEC 011, Mp1) with
heartbeats, on Apache ServiceComb service-center.

  mepserver [flags]
  mepserver demo                  see a service of a platform die and come back
  mepserver services [ID|NAME]    show the services of a running server: who is
                                  alive, who is not, since when and why
  mepserver watch                 print each change of a service as it happens
  mepserver doctor                look for what operators get wrong
  mepserver drain ID|NAME         take a service out of use; undrain ID|NAME ends
                                  that
  mepserver init --host NAME      make a platform with TLS and identities
  mepserver app add ID            make a credential; there are app rotate ID,
                                  app remove ID and app list, too
  mepserver check [flags]         examine the store of a server that is stopped
  mepserver backup FILE [flags]   write a backup, while the server runs or not
  mepserver restore FILE [flags]  make a store of a backup
  mepserver import [flags]        take over what EdgeGallery's mepserver has kept
  mepserver example               print a configuration with every setting
  mepserver completion SHELL      print the completion of commands for a shell
  mepserver help [COMMAND]        print this, or all of a command
  mepserver version               print the version

Without flags it listens on 127.0.0.1:30100, without TLS and identities, and keeps
its data in ./data. Two commands make a platform that others can reach:
  mepserver init --host mep.example.org
  mepserver --config mep/mepserver.yaml

  --config FILE               read settings from a YAML file; mepserver example
                              shows all of them with their defaults
  --listen HOST:PORT          listen here (an IP address or localhost)
  --data-dir DIR              keep the embedded etcd's data here
  --etcd-endpoints URL[,URL]  use this etcd cluster in place of the embedded one;
                              with it, several mepservers share one registry
  --console-dir DIR           serve ServiceComb's own console from here, at
                              /servicecomb/
  --insecure                  allow --listen beyond loopback, without TLS and
                              identities: whoever reaches the port may act for
                              any application
  --version                   print the version and exit
  --help                      print this and exit

A flag wins over its environment variable, that over the file. The variable of
a setting is MEP_ and its path: server.listen is MEP_SERVER_LISTEN.
SIGTERM and SIGINT stop the server within ten seconds.
`

// options is what the command line asks for.
type options struct {
	// sources lacks Environ, which main adds.
	sources conf.Sources
	version bool
}

// serverFlags are those without a command.
func serverFlags() []option {
	return append(local(), option{name: "listen"}, option{name: "etcd-endpoints"}, option{name: "console-dir", file: true},
		option{name: "insecure", toggle: true}, option{name: "version", toggle: true})
}

// parseFlags reads the arguments after the program's name. For --help it
// prints to out and returns flag.ErrHelp, which is a success; any other error
// is one line for the user.
func parseFlags(args []string, out io.Writer) (options, error) {
	fs := flag.NewFlagSet("mepserver", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned, and printed by main alone
	fs.Usage = func() {}
	var file string
	var version bool
	for _, o := range serverFlags() {
		switch {
		case o.name == "config":
			fs.StringVar(&file, o.name, "", "")
		case o.name == "version":
			fs.BoolVar(&version, o.name, false, "")
		case o.toggle:
			fs.Bool(o.name, false, "")
		default:
			fs.String(o.name, "", "")
		}
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		if _, err := io.WriteString(out, help); err != nil {
			return options{}, fmt.Errorf("print help: %w", err)
		}
		return options{}, flag.ErrHelp
	} else if err != nil {
		return options{}, fmt.Errorf("%w; mepserver --help lists the flags", err)
	}
	if fs.NArg() > 0 {
		return options{}, notACommand(args, fs.Args())
	}
	o := options{version: version, sources: conf.Sources{File: file, Flags: map[string]string{}}}
	var err error
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "version":
		case "config":
			if file == "" {
				err = errors.New("--config must name a file")
			}
		default:
			o.sources.Flags[f.Name] = f.Value.String()
		}
	})
	return o, err
}
