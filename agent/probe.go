package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Probe asks the application whether it is well, so that consumers are not sent to one
// that hangs while its agent runs. TCPProbe, HTTPProbe and ExecProbe make a Check.
//
// A service is not registered before the first Check that succeeds. After Failures of them
// in a row no heartbeats are sent, until one succeeds.
type Probe struct {
	// Check returns nil if the application is well. It must return when its context ends.
	Check func(ctx context.Context) error
	// Interval is the time from the end of one Check to the next, less up to a tenth.
	// 0 or less: 5 s.
	Interval time.Duration
	// Timeout ends the context of a Check. 0 or less: 1 s.
	Timeout time.Duration
	// Failures in a row stop the heartbeats. 0 or less: 3.
	Failures int
}

const (
	defaultProbeInterval = 5 * time.Second
	defaultProbeTimeout  = time.Second
	defaultProbeFailures = 3
)

func (p *Probe) interval() time.Duration { return orDefault(p.Interval, defaultProbeInterval) }
func (p *Probe) timeout() time.Duration  { return orDefault(p.Timeout, defaultProbeTimeout) }

func (p *Probe) failures() int {
	if p.Failures <= 0 {
		return defaultProbeFailures
	}
	return p.Failures
}

func orDefault(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
}

// runProbe is the job that runs the probe of a service.
func (a *Agent) runProbe(r *registration) job {
	p := r.service.Probe
	return func(ctx context.Context) func(time.Time) {
		ctx, cancel := context.WithTimeout(ctx, p.timeout())
		defer cancel()
		err := p.Check(ctx)
		return func(now time.Time) { a.probeDone(r, now, err) }
	}
}

// probeDone takes the outcome of a probe.
func (a *Agent) probeDone(r *registration, now time.Time, err error) {
	p := r.service.Probe
	if p == nil || r.takenBack {
		return
	}
	r.probeTimer.due = now.Add(a.jitter.shorten(p.interval()))
	a.probes.put(&r.probeTimer)
	if err != nil {
		r.probeError = printable(err.Error())
		r.probeFailures++
		if r.probeFailures == p.failures() {
			a.warn(r, "its probe fails: no heartbeats are sent until it succeeds", "reason", err.Error())
		}
		if r.healthy && r.probeFailures >= p.failures() {
			r.healthy = false
			a.reschedule(r)
		}
		return
	}
	if !r.healthy {
		a.info(r, "its probe succeeds")
	}
	a.wellAgain(r, now)
}

// wellAgain lets the heartbeats of a service go on whose probe has failed.
func (a *Agent) wellAgain(r *registration, now time.Time) {
	r.probeFailures, r.probeError = 0, ""
	if r.healthy {
		return
	}
	r.healthy = true
	if r.timer.running {
		return
	}
	if !r.timer.due.After(now) { // else no heartbeat was missed, or the platform asked for a wait
		r.beatDue, r.timer.due = now, now
		r.newPhase, r.verifyNext = true, true
		r.step(woken)
	}
	a.reschedule(r)
}

// TCPProbe makes a Probe.Check that succeeds if address (HOST:PORT) takes a connection.
func TCPProbe(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// HTTPProbe makes a Probe.Check that succeeds if a GET of the URL is answered with a status
// from 200 to 399. It follows no redirect and uses no connection twice.
func HTTPProbe(url string) func(context.Context) error {
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // one that was kept proves nothing
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(r)
		if err != nil {
			return withoutURL(err)
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		_ = resp.Body.Close()
		if resp.StatusCode < 200 || resp.StatusCode > 399 {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

// ExecProbe makes a Probe.Check that runs a program, argv[0] with the arguments behind it,
// and succeeds if its exit code is 0. The program has no input and its output is dropped.
// It has the environment of this process without the named variables. When the context
// ends, it is killed; on Unix with all that it started.
func ExecProbe(argv []string, without ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		if len(argv) == 0 {
			return errors.New("no program is named")
		}
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
			name, _, _ := strings.Cut(kv, "=")
			return slices.Contains(without, name)
		})
		cmd.WaitDelay = time.Second // else Wait hangs while a child of the program keeps its output open
		killWholeGroup(cmd)
		return cmd.Run()
	}
}
