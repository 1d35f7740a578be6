// Command mep-agent stands between a MEC application and the platform: it knows
// flags, signals and exit codes, and leaves the rest to package agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// version is set by the linker for releases.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without its surroundings. A failure is one clear line, and exit code 1.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	c, err := parse(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil && c.version:
		fmt.Fprintln(out, "mep-agent", describe())
		return 0
	case err == nil:
		err = listen(ctx, c.listen, out)
	}
	if err != nil {
		fmt.Fprintln(errs, "mep-agent:", err)
		return 1
	}
	return 0
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
