package agent

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// confirmReady says that the application is up and running.
func (p *platform) confirmReady(ctx context.Context) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.ConfirmReady(ctx, p.app)
	})
}

// confirmTermination says that the application may be terminated.
func (p *platform) confirmTermination(ctx context.Context, action mp1.OperationAction) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.ConfirmTermination(ctx, p.app, action)
	})
}

// errNoWebSocket is the error of a platform that cannot tell of a termination as the agent can
// be told.
var errNoWebSocket = errors.New("the platform offers no WebSocket for notifications")

// terminationSubscription makes a subscription to the termination of the application that has a
// WebSocket, unless there is one that may be taken.
func (p *platform) terminationSubscription(ctx context.Context, take bool) (out terminationSubscription, err error) {
	err = p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		if take {
			if out, err = findTerminationSubscription(ctx, c, p.app); err != nil || out.socket != "" {
				return err
			}
		}
		made, err := c.SubscribeTermination(ctx, p.app, mp1.Subscription{WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}})
		if err != nil {
			return err
		}
		if out = socketOf(made); out.socket != "" {
			return nil
		}
		if out.href != "" { // it has passed over what it does not know, and would tell nobody
			_ = c.Unsubscribe(ctx, out.href)
		}
		return errNoWebSocket
	})
	return out, err
}

// findTerminationSubscription finds one; the zero value if there is none. They are tried in any
// order: agents that look for one at the same moment find different ones.
func findTerminationSubscription(ctx context.Context, c *client.Client, app string) (terminationSubscription, error) {
	links, err := c.TerminationSubscriptions(ctx, app)
	if err != nil {
		return terminationSubscription{}, err
	}
	rand.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	for _, link := range links {
		there, err := subscriptionAt(ctx, c, link.Href)
		if err != nil || there.socket != "" {
			return there, err
		}
	}
	return terminationSubscription{}, nil
}

// subscriptionAt is where the WebSocket of a subscription is, if it has one and is still there.
func subscriptionAt(ctx context.Context, c *client.Client, link string) (terminationSubscription, error) {
	href, _, err := client.HrefPath(link)
	if err != nil {
		return terminationSubscription{}, nil //nolint:nilerr // nobody can ask for it
	}
	there, err := c.Subscription(ctx, href)
	if errors.Is(err, client.ErrNotFound) {
		return terminationSubscription{}, nil
	}
	out := socketOf(there)
	out.href = href
	return out, err
}

// socketOf is where a subscription and its WebSocket are, as far as it says so. Their hosts are
// not called: a path is the same at every endpoint.
func socketOf(s mp1.Subscription) (out terminationSubscription) {
	var err error
	if s.Links != nil {
		if out.href, _, err = client.HrefPath(s.Links.Self.Href); err != nil {
			out.href = ""
		}
	}
	if s.WebsockNotifConfig != nil {
		if out.socket, _, err = client.HrefPath(s.WebsockNotifConfig.WebsocketURI); err != nil {
			out.socket = ""
		}
	}
	return out
}

// unsubscribe ends the subscription at a path.
func (p *platform) unsubscribe(ctx context.Context, href string) error {
	return p.call(ctx, p.timeout, failsOver, func(ctx context.Context, c *client.Client) error {
		return c.Unsubscribe(ctx, href)
	})
}

// receive hands over what comes by a WebSocket until its connection ends. An endpoint that
// makes none is followed by the next.
func (p *platform) receive(ctx context.Context, s client.Stream) error {
	first, connected := int(p.current.Load()), false
	onConnect := s.OnConnect
	s.OnConnect = func() { connected = true; onConnect() }
	var last error
	for i := range p.clients {
		err := p.clients[(first+i)%len(p.clients)].ReceiveOnce(ctx, s)
		if connected || ctx.Err() != nil || !failsOver(err) {
			return err
		}
		last = shorterWait(last, err)
	}
	return last
}
