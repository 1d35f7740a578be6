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
	"time"

	"github.com/go-chassis/openlog"
)

const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	answerTimeout = 60 * time.Second
	idleTimeout   = 90 * time.Second
	maxHeader     = 32 << 10
	drainTime     = 4 * time.Second // for what is in flight
	stopTime      = 2 * time.Second // for the background work, then again for the plugins
	readyPoll     = 10 * time.Millisecond
)

// Run sets the plugins up in order, serves until ctx ends, and stops them in
// reverse. It listens first, so that an address in use is found at once; until the
// lists are loaded every request but GET /health is answered 503, so that nobody is
// told that something does not exist which is only not known yet. up is called once
// the surface is served.
func Run(ctx context.Context, h *Host, list []Plugin, up func(net.Addr)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", h.Config.Server.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", h.Config.Server.Listen, errors.Unwrap(err))
	}
	return serve(ctx, l, h, list, up)
}

// serve is Run from when it listens.
func serve(ctx context.Context, l net.Listener, h *Host, list []Plugin, up func(net.Addr)) (err error) {
	var surface atomic.Pointer[http.Handler]
	starting := http.Handler(http.HandlerFunc(notYet))
	surface.Store(&starting)
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*surface.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(serverLog{h.Log}, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	var stops []func(context.Context) error
	defer func() { err = errors.Join(err, unwind(stops)) }()
	for _, p := range list {
		stop, err := p.Setup(ctx, h)
		if err != nil {
			_ = srv.Close()
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if stop != nil {
			stops = append(stops, stop)
		}
	}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	for _, task := range h.tasks {
		tasks.Go(func() { task(background) })
	}
	ready, err := untilReady(ctx, served, h.Ready)
	if ready {
		full := h.Base.Handler()
		surface.Store(&full)
		up(l.Addr())
		select {
		case <-ctx.Done():
		case err = <-served:
		}
	}
	drain(srv, h.Log)
	end()
	waitFor(&tasks, stopTime)
	return err
}

// serverLog takes what net/http says by itself, about a panic or a handshake, into our
// log: by its own logger it would write lines of another form.
type serverLog struct{ log openlog.Logger }

func (s serverLog) Write(p []byte) (int, error) {
	s.log.Warn("the HTTP server had to say something", openlog.WithTags(openlog.Tags{"reason": string(p)}))
	return len(p), nil
}

// untilReady waits for the lists; false: ctx ended first, or the server did by err.
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

// drain lets what is in flight finish.
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

func unwind(stops []func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for i := len(stops) - 1; i >= 0; i-- {
		err = errors.Join(err, stops[i](ctx))
	}
	return err
}

// notYet answers while the plugins are being set up.
func notYet(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" && r.Method == http.MethodGet {
		_, _ = w.Write([]byte("ok\n"))
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The platform is starting; try again in a second."}` + "\n"))
}
