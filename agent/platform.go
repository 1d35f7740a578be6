package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

const (
	// minAttemptTimeout is the least time that a request to one endpoint is given.
	minAttemptTimeout = 250 * time.Millisecond
	// listTimeout is the longest that one endpoint is given for the application's list while
	// it comes. If nothing of it comes for Options.Timeout, it is given up.
	listTimeout = time.Minute
)

// platform sends the requests of one application. Its endpoints are those of one platform;
// it stays with the one that answered last, and goes to the next if that does not answer.
type platform struct {
	app        string
	clients    []*client.Client // one for each endpoint
	hosts      []string         // of the endpoints, with the ports that are given
	hostPorts  []string         // the same, with the ports that their schemes imply
	transport  http.RoundTripper
	current    atomic.Int64 // index of the endpoint that answered last
	timeout    time.Duration
	onFailover func() // called when current changes
}

// newPlatform sends nothing. Its error joins one for each endpoint that is none. onFailover
// is for the caller to set.
func newPlatform(o Options, agent string) (*platform, error) {
	p := &platform{app: o.App, timeout: o.Timeout, transport: o.Transport}
	if p.transport == nil {
		t, err := NewTransport(TLS{})
		if err != nil {
			return nil, err
		}
		p.transport = t
	}
	rt := WithToken(p.transport, o.Token)
	var faults []error
	for i, endpoint := range o.Endpoints {
		c, err := client.New(client.Options{BaseURL: endpoint, Prefix: o.Prefix, HTTPClient: &http.Client{Transport: rt, Timeout: p.timeout}, Agent: agent})
		if err != nil {
			faults = append(faults, fmt.Errorf("option Endpoints[%d]: %w", i, err))
			continue
		}
		p.clients = append(p.clients, c)
		if u, err := url.Parse(endpoint); err == nil {
			p.hosts, p.hostPorts = append(p.hosts, u.Host), append(p.hostPorts, hostPort(u))
		}
	}
	return p, errors.Join(faults...)
}

// call tries the endpoints, beginning with the one that answered last. An error for which
// failsOver returns true sends it to the next. Each endpoint is given the timeout. If all
// of them fail, the error is the one that asks for the shortest wait.
func (p *platform) call(ctx context.Context, timeout time.Duration, failsOver func(error) bool, do func(context.Context, *client.Client) error) error {
	first := int(p.current.Load())
	var last error
	for i := range p.clients {
		n := (first + i) % len(p.clients)
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := do(attempt, p.clients[n])
		cancel()
		if err == nil || !failsOver(err) {
			if i > 0 && p.current.CompareAndSwap(int64(first), int64(n)) {
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

// attemptTimeout is what one endpoint is given for a heartbeat, so that all of them can be
// tried within one interval.
func (p *platform) attemptTimeout(interval time.Duration) time.Duration {
	return min(p.timeout, max(interval/time.Duration(len(p.clients)+1), minAttemptTimeout))
}

// register POSTs a service. Only a request that certainly reached nobody goes to another
// endpoint: the service might be registered twice otherwise.
func (p *platform) register(ctx context.Context, info mp1.ServiceInfo) (out mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, notSent, func(ctx context.Context, c *client.Client) error {
		out, err = c.Register(ctx, p.app, info)
		return err
	})
	return out, err
}

// beat PATCHes the liveness resource at path.
func (p *platform) beat(ctx context.Context, path string, interval time.Duration) (out client.BeatAnswer, err error) {
	err = p.call(ctx, p.attemptTimeout(interval), failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Beat(ctx, path)
		return err
	})
	return out, err
}

// liveness GETs the liveness resource at path.
func (p *platform) liveness(ctx context.Context, path string, interval time.Duration) (out mp1.ServiceLivenessInfo, err error) {
	err = p.call(ctx, p.attemptTimeout(interval), failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Liveness(ctx, path)
		return err
	})
	return out, err
}

// list GETs the application's services, in every state. The list may be long, and the link
// slow.
func (p *platform) list(ctx context.Context) (out []mp1.ServiceInfo, err error) {
	err = p.call(ctx, listTimeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.ApplicationServices(ctx, p.app, mp1.Filter{})
		return err
	})
	return out, err
}

// service GETs a service of the application.
func (p *platform) service(ctx context.Context, id string) (out mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.ApplicationService(ctx, p.app, id)
		return err
	})
	return out, err
}

// update PUTs a service. If it has heartbeats, the PUT is given no longer than one of them,
// for they wait meanwhile.
func (p *platform) update(ctx context.Context, id string, interval time.Duration, info mp1.ServiceInfo) (out mp1.ServiceInfo, err error) {
	timeout := p.timeout
	if interval > 0 {
		timeout = p.attemptTimeout(interval)
	}
	err = p.call(ctx, timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Update(ctx, p.app, id, info)
		return err
	})
	return out, err
}

// rejoin PUTs a service as the platform shows it. What the application or a newer agent changes
// between the GET and the PUT would be overruled, so that the PUT has the ETag of the GET as its
// condition. A weak one, which a proxy that compresses makes, never matches (RFC 9110 §13.1.1).
// Both requests together are given what one is otherwise, for heartbeats wait meanwhile.
func (p *platform) rejoin(ctx context.Context, id string, interval time.Duration) (out mp1.ServiceInfo, err error) {
	timeout := max(p.attemptTimeout(interval), minAttemptTimeout) / 2
	var shown mp1.ServiceInfo
	var tag string
	err = p.call(ctx, timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		shown, err = c.ApplicationService(ctx, p.app, id, client.ETag(&tag))
		return err
	})
	if err != nil {
		return out, err
	}
	var condition []client.RequestOption
	if tag != "" && !strings.HasPrefix(tag, "W/") {
		condition = append(condition, client.IfMatch(tag))
	}
	shown.LivenessInterval = nil // it stays; what is shown would be taken for a proposal
	if shown.State == mp1.Suspended {
		shown.State = mp1.Active // a PUT that says SUSPENDED is refused for good
	}
	err = p.call(ctx, timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Update(ctx, p.app, id, shown, condition...)
		return err
	})
	return out, err
}

// remove DELETEs a service.
func (p *platform) remove(ctx context.Context, id string) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.Remove(ctx, p.app, id)
	})
}

// removeStray DELETEs a service that this agent does not know, if only this agent or one
// that crashed where it runs keeps it alive.
func (p *platform) removeStray(ctx context.Context, id string) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.Remove(ctx, p.app, id, client.AtPlace())
	})
}

// discover GETs the services of that name, whosever they are.
func (p *platform) discover(ctx context.Context, name string) (out []mp1.ServiceInfo, err error) {
	err = p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		out, err = c.Services(ctx, mp1.Filter{SerNames: []string{name}})
		return err
	})
	return out, err
}

// keepsAgents reports whether the platform keeps the agents of a registration, and removes
// it with the last one (ADR 0030). One whose endpoints are not all of one release does.
func (p *platform) keepsAgents() bool {
	return slices.ContainsFunc(p.clients, (*client.Client).AgentKept)
}

// hasHost reports whether one of the endpoints is at this host and port.
func (p *platform) hasHost(host string) bool {
	for _, h := range p.hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// close closes the connections that are not in use.
func (p *platform) close() {
	for _, c := range p.clients {
		c.CloseIdle()
	}
}
