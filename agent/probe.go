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

// runProbe runs the probe of a service.
func (a *Agent) runProbe(r *registration) job {
	p := r.service.Probe
	return func(ctx context.Context) func(time.Time) {
		ctx, cancel := context.WithTimeout(ctx, p.timeout())
		defer cancel()
		err := p.Check(ctx)
		return func(now time.Time) { a.probeDone(r, now, err) }
	}
}

func (a *Agent) probeDone(r *registration, now time.Time, err error) {
	p := r.service.Probe
	r.probeTimer.due = now.Add(a.jitter.shorten(p.interval()))
	a.probes.put(&r.probeTimer)
	if err != nil {
		r.probeFailures++
		if r.probeFailures == p.failures() {
			a.warn(r, "its probe fails: no heartbeats are sent until it succeeds", openlog.Tags{"reason": err.Error()})
		}
		if r.healthy && r.probeFailures >= p.failures() {
			r.healthy = false
			a.reschedule(r)
		}
		return
	}
	r.probeFailures = 0
	if r.healthy {
		return
	}
	r.healthy = true
	a.info(r, "its probe succeeds", nil)
	if r.timer.running {
		return
	}
	if !r.timer.due.After(now) { // else nothing was missed, or the platform wants us to wait
		r.beatDue, r.timer.due = now, now
		r.newPhase, r.verifyNext = true, true
		r.step(woken)
	}
	a.reschedule(r)
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
		killWholeGroup(cmd)
		return cmd.Run()
	}
}
