package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// minAttemptTimeout is the least time that one endpoint is given.
const minAttemptTimeout = 250 * time.Millisecond

// platform is the endpoints of one platform as if they were one. It stays with the
// endpoint that answered last.
type platform struct {
	app        string
	clients    []*client.Client
	hosts      []string
	transport  http.RoundTripper
	current    atomic.Int64
	timeout    time.Duration
	onFailover func()
}

func newPlatform(o Options, failover func()) (*platform, error) {
	p := &platform{app: o.App, timeout: o.Timeout, transport: o.Transport, onFailover: failover}
	if p.transport == nil {
		t, err := NewTransport(TLS{})
		if err != nil {
			return nil, err
		}
		p.transport = t
	}
	rt := p.transport
	if o.Token != nil {
		rt = &tokenTransport{base: rt, source: o.Token}
	}
	for i, endpoint := range o.Endpoints {
		c, err := client.New(client.Options{BaseURL: endpoint, Prefix: o.Prefix, HTTPClient: &http.Client{Transport: rt}})
		if err != nil {
			return nil, fmt.Errorf("option Endpoints[%d]: %w", i, err)
		}
		p.clients = append(p.clients, c)
		if u, err := url.Parse(endpoint); err == nil {
			p.hosts = append(p.hosts, u.Host)
		}
	}
	return p, nil
}

// call tries the endpoints, the last good one first, until one has answered for
// itself. again tells whether a failure at one endpoint is a reason to try another.
func (p *platform) call(ctx context.Context, each time.Duration, again func(error) bool, do func(context.Context, *client.Client) error) error {
	at := int(p.current.Load())
	var last error
	for i := range p.clients {
		n := (at + i) % len(p.clients)
		attempt, cancel := context.WithTimeout(ctx, each)
		err := do(attempt, p.clients[n])
		cancel()
		if err == nil || !again(err) {
			if i > 0 && p.current.CompareAndSwap(int64(at), int64(n)) {
				p.onFailover()
			}
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		last = shorterWait(last, err)
	}
	return last
}

// shorterWait keeps the error that asks for the shorter wait; one that asks for none says
// less.
func shorterWait(a, b error) error {
	wa, wb := retryAfter(a), retryAfter(b)
	if a == nil || wb > 0 && (wa == 0 || wb < wa) {
		return b
	}
	return a
}

func retryAfter(err error) time.Duration {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.RetryAfter
	}
	return 0
}

func statusOf(err error) int {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// failsOver: another endpoint may do better. A refused or missing token will be the
// same there.
func failsOver(err error) bool {
	switch statusOf(err) {
	case 0:
		return !errors.Is(err, ErrToken)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// notSent: the request certainly reached nobody, so that even a registration may go
// to another endpoint.
func notSent(err error) bool {
	var op *net.OpError
	return statusOf(err) == 0 && errors.As(err, &op) && op.Op == "dial"
}

// mayHaveSucceeded: a registration may have been carried out although it failed.
func mayHaveSucceeded(err error) bool {
	s := statusOf(err)
	return !notSent(err) && !errors.Is(err, ErrToken) && (s == 0 || s >= http.StatusInternalServerError)
}

// attemptTimeout is what one endpoint is given, so that all can be tried within the interval.
func (p *platform) attemptTimeout(interval time.Duration) time.Duration {
	return min(p.timeout, max(interval/time.Duration(len(p.clients)+1), minAttemptTimeout))
}

func (p *platform) register(ctx context.Context, info mp1.ServiceInfo) (out mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, notSent, func(ctx context.Context, c *client.Client) error {
		out, err = c.Register(ctx, p.app, info)
		return err
	})
	return out, err
}

func (p *platform) beat(ctx context.Context, href string, interval time.Duration) (out client.BeatAnswer, err error) {
	err = p.call(ctx, p.attemptTimeout(interval), failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Beat(ctx, href)
		return err
	})
	return out, err
}

func (p *platform) liveness(ctx context.Context, href string, interval time.Duration) (out mp1.ServiceLivenessInfo, err error) {
	err = p.call(ctx, p.attemptTimeout(interval), failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Liveness(ctx, href)
		return err
	})
	return out, err
}

func (p *platform) list(ctx context.Context) (out []mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.ApplicationServices(ctx, p.app, mp1.Filter{})
		return err
	})
	return out, err
}

// update leaves time for the next heartbeat, where there are heartbeats.
func (p *platform) update(ctx context.Context, id string, interval time.Duration, info mp1.ServiceInfo) (out mp1.ServiceInfo, err error) {
	each := p.timeout
	if interval > 0 {
		each = p.attemptTimeout(interval)
	}
	err = p.call(ctx, each, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Update(ctx, p.app, id, info)
		return err
	})
	return out, err
}

func (p *platform) remove(ctx context.Context, id string) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.Remove(ctx, p.app, id)
	})
}

func (p *platform) discover(ctx context.Context, name string) (out []mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Services(ctx, mp1.Filter{SerNames: []string{name}})
		return err
	})
	return out, err
}

// hasHost tells whether one of the endpoints is on this host.
func (p *platform) hasHost(host string) bool {
	for _, h := range p.hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// close ends the connections that are not in use.
func (p *platform) close() {
	for _, c := range p.clients {
		c.CloseIdle()
	}
}
