// Command mep-agent registers the services of a MEC application at its platform and keeps
// them alive, for applications that do not speak Mp1 themselves. It also prints what a
// running agent knows, and the notifications of a platform; --help lists it all.
//
// It knows flags, signals, exit codes and the configuration. It must not know when a
// heartbeat is due or what an answer means: package agent does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/mec-liveness/mepserver/cmd/early"
	"github.com/mec-liveness/mepserver/cmd/revision"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
)

// gcPercent is GOGC unless the environment sets it. Half of Go's default saves memory, which
// a sidecar must not need, and a thousand heartbeats make little garbage.
const gcPercent = 50

// printTimeout is how long a notification waits for the standard output to take it.
const printTimeout = 2 * time.Second

// version is set by the linker for releases.
var version = "dev"

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	outputs := logs.TakeStandard()
	ctx := early.Context()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, os.Args[1:], os.Environ(), outputs.Out, outputs.Err) }()
	var code int
	select {
	case code = <-ended:
	case <-early.Overdue(ctx):
		fmt.Fprintln(outputs.Err, "mep-agent: it did not stop in time and is ended as it is")
		code = 1
	}
	outputs.Flush()
	os.Exit(code)
}

// The exit codes of a failure.
const (
	exitFailed  = 1 // it could not be done
	exitNotGood = 2 // it was done, and the outcome is not good
)

// errNotGood ends a command whose output says what is not good.
var errNotGood = errors.New("not good")

// run is main with what it needs from outside, and returns the exit code. A failure is one
// line on errs, of a configuration one line for each fault.
func run(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	c, err := parse(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil && c.version:
		fmt.Fprintln(out, "mep-agent", revision.Describe(version))
		return 0
	case err == nil:
		err = c.run(ctx, environ, out, errs)
	}
	var faults conf.Faults
	switch {
	case errors.Is(err, errNotGood):
		return exitNotGood
	case errors.As(err, &faults):
		fmt.Fprintln(errs, err)
		return exitFailed
	case err != nil:
		fmt.Fprintln(errs, "mep-agent:", err)
		return exitFailed
	}
	return 0
}

// run carries out the command.
func (c command) run(ctx context.Context, environ []string, out, errs io.Writer) error {
	switch {
	case c.name == "listen":
		if q, ok := out.(*logs.Queue); ok {
			out = q.Confirmed(printTimeout) // a platform is told that it was printed
		}
		if c.listen.webSocket {
			return listenWebSocket(ctx, c.listen, conf.Sources{File: c.config, Environ: environ}, out)
		}
		return listen(ctx, c.listen, out)
	case c.name == "stop":
		return stop(c.pid)
	case c.name == "example":
		_, err := out.Write(conf.AgentExample())
		return err
	case c.name == "status" && c.address != "":
		return c.status(ctx, c.address, out)
	}
	sources := conf.Sources{File: c.config, Environ: environ}
	if c.name == "check" {
		return c.check(ctx, sources, out)
	}
	settings, err := conf.LoadAgent(sources)
	switch {
	case err != nil:
		return err
	case c.name == "status":
		return c.status(ctx, settings.Local.Listen, out)
	}
	return runAgent(ctx, settings, environ, out, errs)
}
