// Command mepserver is a MEC platform's service registry with liveness: Apache
// ServiceComb service-center with the plugins listed here, in one process. It knows
// flags, signals, exit codes and the order of the plugins, and nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport"
	"github.com/mec-liveness/mepserver/plugins/identity"
	"github.com/mec-liveness/mepserver/plugins/liveness"
	"github.com/mec-liveness/mepserver/plugins/notify"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
	"github.com/mec-liveness/mepserver/plugins/servicemgmt"
)

// list is every part of mepserver, bottom first.
func list() []plugins.Plugin {
	return []plugins.Plugin{
		identity.Plugin(),
		servicecenter.Plugin(),
		liveness.Plugin(),
		appsupport.Plugin(),
		notify.Plugin(),
		servicemgmt.Plugin(),
	}
}

// version is set by the linker for releases.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main without its surroundings. A failure is one clear line (for a
// configuration: one a fault), and exit code 1.
func run(args, environ []string, out, errs io.Writer) int {
	o, err := parseFlags(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(errs, "mepserver:", err)
		return 1
	case o.version:
		fmt.Fprintln(out, "mepserver", describe())
		return 0
	}
	o.sources.Environ = environ
	c, err := conf.Load(o.sources)
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h := &plugins.Host{Config: c, Version: describe(), Log: plugins.NewLog(errs, "INFO")}
	if err := plugins.Run(ctx, h, list(), func(a net.Addr) { greet(out, c, a) }); err != nil {
		fmt.Fprintln(errs, "mepserver:", err)
		return 1
	}
	return 0
}

// greet is the one line that a user sees.
func greet(out io.Writer, c conf.Config, a net.Addr) {
	store := "etcd at " + fmt.Sprint(c.Store.Endpoints)
	if c.Store.Kind == conf.Embedded {
		dir, err := filepath.Abs(c.Store.DataDir)
		if err != nil {
			dir = c.Store.DataDir
		}
		store = "data in " + dir
	}
	fmt.Fprintf(out, "mepserver %s ready on http://%s, %s; try: curl http://%s/mec_service_mgmt/v1/services\n", describe(), a, store, a)
}

// describe is the version, with the revision it was built from if that is known.
func describe() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return version + "-" + s.Value[:12]
			}
		}
	}
	return version
}
