// Package demo is a MEC platform to look at, with applications that use it: three services, each
// kept alive by an agent, one of which dies every half minute and comes back, and a consumer
// that is told. It knows Mp1, as an application does, and package agent; it must not know how
// the platform is made, which is handed to it as a function.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mec-liveness/mepserver/mp1/client"
)

// Platform is a running platform of which Serve is told where it is to be.
type Platform struct {
	Listen  string // HOST:PORT
	DataDir string
	// Settings are of the platform's configuration, as YAML.
	Settings []byte
	// Up is called once requests are served.
	Up func(net.Addr)
}

// Options say how the demo runs.
type Options struct {
	// Program is how the program is called that has the commands which are shown.
	Program string
	// Serve runs the platform until its context ends.
	Serve func(context.Context, Platform) error
	// Listen is where; "": DefaultListen, or a free port if somebody has that already.
	Listen string
	// DataDir is kept; "": a temporary one, which is removed at the end.
	DataDir string
	// For is how long it runs; 0: until the context ends.
	For time.Duration
	Out io.Writer
}

// DefaultListen is the platform's own default.
const DefaultListen = "127.0.0.1:30100"

// page is what a browser shows of the platform.
const page = "/"

// settings make a silence visible within seconds.
const settings = `liveness: {minInterval: 2s, defaultInterval: 2s, allowedMisses: 2}
`

// stopTimeout is how long agents and consumer may take to end before the platform is stopped.
const stopTimeout = 3 * time.Second

// Run runs the demo until its context ends, or for Options.For.
func Run(ctx context.Context, o Options) (err error) {
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	dir, remove, err := folder(o.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	listen := o.Listen
	if listen == "" {
		listen = freeAddress(ctx)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	up, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- o.Serve(serving, Platform{Listen: listen, DataDir: dir, Settings: []byte(settings), Up: func(a net.Addr) { up <- a }})
	}()
	select {
	case a := <-up:
		err = show(ctx, o, "http://"+a.String(), dir, ended)
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	stop()
	if left := <-ended; err == nil {
		err = left
	}
	return err
}

// folder is where the platform keeps its data, and what removes it.
func folder(given string) (dir string, remove func() error, err error) {
	if given != "" {
		return given, func() error { return nil }, nil
	}
	if dir, err = os.MkdirTemp("", "mepserver-demo-"); err != nil {
		return "", nil, err
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// freeAddress is DefaultListen unless somebody listens there.
func freeAddress(ctx context.Context) string {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", DefaultListen)
	if err == nil {
		err = l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return "127.0.0.1:0"
	}
	return DefaultListen
}

// show has the applications live at a running platform until ctx ends or the platform does, and
// ends them. The platform's end is in ended still.
func show(ctx context.Context, o Options, base, dir string, ended chan error) error {
	c, err := client.New(client.Options{BaseURL: base})
	if err != nil {
		return err
	}
	defer c.CloseIdle()
	begun := time.Now()
	say := newTeller(o.Out, func() time.Duration { return time.Since(begun) })
	greet(o, base, dir)
	told, err := subscribe(ctx, c, say)
	if err != nil {
		return fmt.Errorf("the consumer could not subscribe: %w", err)
	}
	defer told.close()
	running, end := context.WithCancel(ctx)
	defer end()
	var lives sync.WaitGroup
	if err := live(running, base, say, &lives); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-ended:
		ended <- nil
		if err == nil && ctx.Err() == nil {
			err = errors.New("the platform has ended")
		}
	}
	end()
	over := make(chan struct{})
	go func() { lives.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(stopTimeout):
	}
	if err == nil {
		say("the demo is over")
	}
	return err
}

// greet says what there is to see. The first line is the address to open.
func greet(o Options, base, dir string) {
	kept := "kept in " + dir
	if o.DataDir == "" {
		kept += ", which is removed at the end"
	}
	where := ""
	if base != "http://"+DefaultListen {
		where = " --url " + base
	}
	fmt.Fprintf(o.Out, "Open %s%s in a browser. Ctrl-C ends the demo.\n\n", base, page)
	fmt.Fprintf(o.Out, `This is a MEC platform with three services. Each has an agent, which registers it and sends
a heartbeat every 2 seconds; after 6 seconds of silence the platform takes it for dead. A
consumer has subscribed to all of them. Every half minute the agent of collision-warning
is ended as by a crash, and another one is started 12 seconds later. In another terminal:

  %[3]s services%[2]s        who is alive, who is not, since when and why
  %[3]s watch%[2]s           each change as it happens
  %[3]s drain%[2]s face-recognition --reason "a new disk"
  %[3]s undrain%[2]s face-recognition
  curl %[1]s/mec_service_mgmt/v1/services

`, base, where, cmp.Or(o.Program, "mepserver"))
	fmt.Fprintf(o.Out, "The data is %s.\n\n", kept)
}

// newTeller returns a function that writes lines with how long the demo has run. It may be
// called by several goroutines.
func newTeller(out io.Writer, since func() time.Duration) func(format string, args ...any) {
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		s := int(since().Seconds())
		fmt.Fprintf(out, "  %02d:%02d %s\n", s/60, s%60, fmt.Sprintf(format, args...))
	}
}
