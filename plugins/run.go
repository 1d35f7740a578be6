package plugins

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/logs"
)

const (
	headerTimeout   = 5 * time.Second
	bodyTimeout     = 10 * time.Second
	responseTimeout = 60 * time.Second
	leastIdle       = 90 * time.Second
	maxHeader       = 32 << 10
	drainTime       = 4 * time.Second // for what is in flight
	setupTime       = 2 * time.Second // for a setup that is under way when the server is stopped
	stopTime        = 2 * time.Second // for the background work, then again for the plugins
	readyPoll       = 10 * time.Millisecond
)

// Run sets the plugins up in order, serves until ctx ends, and stops them in
// reverse. It listens first, so that an address in use is found at once. Until the
// lists are loaded every request but GET /health is answered 503: otherwise clients would
// get 404 for what is only not loaded yet. up is called once requests are served.
func Run(ctx context.Context, h *Host, list []Plugin, up func(net.Addr)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", h.Config.Server.Listen)
	switch {
	case ctx.Err() != nil: // it was stopped before it began
		if err == nil {
			_ = l.Close()
		}
		return nil
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("cannot listen on %s: %w; raise the limit of open files (ulimit -n)", h.Config.Server.Listen, errors.Unwrap(err))
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", h.Config.Server.Listen, errors.Unwrap(err))
	}
	return serve(ctx, l, h, list, up)
}

// serve is the part of Run that follows listening.
func serve(ctx context.Context, l net.Listener, h *Host, list []Plugin, up func(net.Addr)) (err error) {
	var handler atomic.Pointer[http.Handler]
	began := make(chan struct{}) // requests are received
	starting := startingUp(ctx, began, func() http.Handler { return *handler.Load() })
	handler.Store(&starting)
	serverErrors := serverLog{logs.NewRepeats(h.Log)}
	defer serverErrors.log.Flush()
	requestBodies := newBodies()
	srv := newServer(h, requestBodies.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) })))
	srv.ErrorLog = log.New(serverErrors, "", 0)
	secure, err := secureServer(h, srv)
	if err != nil {
		_ = l.Close()
		return err
	}
	most, posts := shareFiles(h.Config.Limits.Connections, openFiles())
	conns := newConnections(l, most, secure.turns())
	h.MaxPosts = posts
	srv.ConnState = conns.state
	served := make(chan error, 1)
	go conns.run()
	go func() { served <- secure.serve(srv, conns) }()
	if most := h.Config.Limits.Connections; conns.most < most {
		h.Log.Warn("the limit of file descriptors allows fewer connections than limits.connections", openlog.WithTags(openlog.Tags{"connections": conns.most, "configured": most}))
	}

	var receiving atomic.Bool
	h.Stopping, h.Receiving = ctx.Done(), receiving.Load
	h.Responses, h.Address = newResponses(h.Config.Limits.UnreadBytes), l.Addr()
	stops, err := setUp(ctx, h, list)
	stops = append(stops, registerDropped(h), h.Responses.register(), conns.register(), requestBodies.register(), secure.register())
	defer func() {
		if left := stopAll(stops); ctx.Err() == nil {
			err = errors.Join(err, left)
		} else if left != nil { // to be stopped is no failure, and everything acknowledged is on disk
			h.Log.Warn("a part did not stop in time", openlog.WithTags(openlog.Tags{"reason": left.Error()}))
		}
	}()
	if err != nil || ctx.Err() != nil {
		_ = srv.Close()
		return err
	}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	for _, task := range h.tasks {
		tasks.Go(func() { task(background) })
	}
	ready, err := untilReady(ctx, served, h.Ready)
	if ready {
		h.Responses.limits = h.Limits
		full := h.Responses.Handler(h.Base.Handler())
		if h.Identity != nil {
			if h.Identity.On() {
				full = ownConnections(full)
			}
			full = h.Identity.Handler(full)
		}
		if h.Aliases != nil {
			full = h.Aliases(full)
		}
		handler.Store(&full)
		close(began)
		receiving.Store(true)
		up(l.Addr())
		select {
		case <-ctx.Done():
		case err = <-served:
		}
		receiving.Store(false)
	}
	drain(srv, h.Log)
	end()
	waitFor(&tasks, stopTime)
	return err
}

// newServer is the HTTP server with its times. The limits of header and body begin with a
// request's first byte, not when the one before was answered.
func newServer(h *Host, handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, DisableGeneralOptionsHandler: true, // it reads the body of OPTIONS * before it answers
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: responseTimeout, IdleTimeout: idleTimeout(h.Config.Liveness.MaxInterval),
		MaxHeaderBytes: maxHeader,
	}
}

// idleTimeout is how long a connection may be idle. net/http's clients do not repeat a PATCH
// whose connection turns out to be closed, so the connection of a client that beats once in
// the longest interval must stay open. Idle ones are closed earlier if there are too many.
func idleTimeout(longest time.Duration) time.Duration {
	return max(leastIdle, longest+longest/4+30*time.Second)
}

// setUp sets the plugins up in order. A store may take long to open: when ctx ends, setUp
// waits for it no longer than setupTime and leaves it as kill -9 would. err is nil when ctx
// ended, for what fails then fails because of that.
func setUp(ctx context.Context, h *Host, list []Plugin) (stops []func(context.Context) error, err error) {
	type result struct {
		stops []func(context.Context) error
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		for _, p := range list {
			stop, err := p.Setup(ctx, h)
			if err != nil {
				r.err = fmt.Errorf("%s: %w", p.Name, err)
				break
			}
			if stop != nil {
				r.stops = append(r.stops, stop)
			}
			if ctx.Err() != nil {
				break
			}
		}
		done <- r
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select {
		case r = <-done:
		case <-time.After(setupTime):
		}
	}
	if ctx.Err() != nil {
		r.err = nil
	}
	return r.stops, r.err
}

// registerDropped adds the metric of dropped log lines; the returned function takes it away.
func registerDropped(h *Host) func(context.Context) error {
	var counts Collectors
	if h.LogDropped != nil {
		counts.Add(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mep_log_lines_dropped_total",
			Help: "Lines of the log that were dropped because nobody read the standard error output or took them."},
			func() float64 { return float64(h.LogDropped()) }))
	}
	return counts.Unregister
}

// untilReady waits until ready; false: ctx ended first, or the server did, by err.
func untilReady(ctx context.Context, served <-chan error, ready func() bool) (is bool, err error) {
	t := time.NewTicker(readyPoll)
	defer t.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-served:
			return false, err
		case <-t.C:
		}
	}
	return true, nil
}

// drain lets requests in flight finish, and cuts off those that take longer than drainTime.
func drain(srv *http.Server, log openlog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Warn("requests were cut off", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
		_ = srv.Close()
	}
}

func waitFor(tasks *sync.WaitGroup, most time.Duration) {
	done := make(chan struct{})
	go func() { tasks.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(most):
	}
}

func stopAll(stops []func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for i := len(stops) - 1; i >= 0; i-- {
		err = errors.Join(err, stops[i](ctx))
	}
	return err
}
