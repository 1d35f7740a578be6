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

	"github.com/go-chassis/openlog"
)

// Probe asks the application whether it is well.
type Probe struct {
	// Check returns nil when the application is well. It must end with its context.
	Check    func(ctx context.Context) error
	Interval time.Duration // between two; 0: 5 s
	Timeout  time.Duration // of one; 0: 1 s
	Failures int           // in a row until heartbeats stop; 0: 3
}

const (
	usualProbeInterval = 5 * time.Second
	usualProbeTimeout  = time.Second
	usualFailures      = 3
)

func (p *Probe) interval() time.Duration { return orUsual(p.Interval, usualProbeInterval) }
func (p *Probe) timeout() time.Duration  { return orUsual(p.Timeout, usualProbeTimeout) }

func (p *Probe) failures() int {
	if p.Failures <= 0 {
		return usualFailures
	}
	return p.Failures
}

func orUsual(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
}

// ask runs the probe of a service.
func (a *Agent) ask(e *entry) job {
	p := e.service.Probe
	return func(ctx context.Context) func(time.Time) {
		ctx, cancel := context.WithTimeout(ctx, p.timeout())
		defer cancel()
		err := p.Check(ctx)
		return func(now time.Time) { a.asked(e, now, err) }
	}
}

func (a *Agent) asked(e *entry, now time.Time, err error) {
	p := e.service.Probe
	e.probe.due = now.Add(a.dice.jitter(p.interval()))
	a.probes.put(&e.probe)
	if err != nil {
		e.misses++
		if e.misses == p.failures() {
			a.say(e, "its probe fails: no heartbeats are sent until it succeeds", openlog.Tags{"reason": err.Error()})
		}
		if e.well && e.misses >= p.failures() {
			e.well = false
			a.again(e)
		}
		return
	}
	e.misses = 0
	if e.well {
		return
	}
	e.well = true
	a.note(e, "its probe succeeds", nil)
	if e.item.flying {
		return
	}
	if !e.item.due.After(now) { // else nothing was missed, or the platform wants us to wait
		e.beatDue, e.item.due = now, now
		e.spread, e.check = true, true
		if e.stage == checking {
			e.stage = beating
		}
	}
	a.again(e)
}

// TCPProbe is well when address (HOST:PORT) takes a connection.
func TCPProbe(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// HTTPProbe is well when a GET of the URL is answered with a status from 200 to 399.
// No redirect is followed.
func HTTPProbe(target string) func(context.Context) error {
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // a kept connection would prove nothing
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
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

// ExecProbe is well when the program ends with exit code 0. It has no input, its
// output goes nowhere, and the environment variables named in without are not passed
// to it.
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
		cmd.WaitDelay = time.Second // a child of its own may keep what it inherited open
		ownGroup(cmd)
		return cmd.Run()
	}
}
