// Package early takes the signals that stop a program before the rest of the program is
// initialised: the libraries below mepserver need longer for that than a supervisor may
// wait, and until then the signal would kill the process instead of stopping it. It must
// import little beside os and os/signal: Go initialises it before whatever needs
// net/http only because it is ready as soon as they are.
package early

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopLimit is how long a stop may take: mepserver --help promises ten seconds.
const stopLimit = 8500 * time.Millisecond

var stop = make(chan os.Signal, 1)

// init is the only moment early enough: main begins when everything is initialised.
func init() { //nolint:gochecknoinits // see above
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
}

// Context returns a context that ends when the program is to stop. main calls it once.
func Context() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
	}()
	return ctx
}

// Overdue returns a channel that is closed when a stop takes longer than it may: something
// hangs that should not, such as a disk that does not answer.
func Overdue(ctx context.Context) <-chan struct{} {
	late := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(stopLimit, func() { close(late) }) })
	return late
}
