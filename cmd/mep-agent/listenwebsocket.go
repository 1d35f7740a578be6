package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// socketTimeout is how long a platform may take to answer a request without a configuration.
const socketTimeout = 10 * time.Second

// listenWebSocket prints the notifications that come by the WebSocket of a subscription, until
// ctx ends or the subscription has. A configuration says who asks.
func listenWebSocket(ctx context.Context, o listenOptions, sources conf.Sources, out io.Writer) error {
	p := &printer{out: out, now: time.Now}
	if o.uri != "" && sources.File == "" {
		c, err := clientOf(o)
		if err != nil {
			return err
		}
		return p.receive(ctx, c, o.uri)
	}
	settings, err := conf.LoadAgent(sources)
	if err != nil {
		return err
	}
	clients, err := clientsOf(settings)
	if err != nil {
		return err
	}
	if o.uri != "" {
		return p.receive(ctx, clients[0], o.uri)
	}
	c, made, err := subscribe(ctx, clients, settings.Application.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "subscribed as %s: %s\n", settings.Application.ID, logs.Clean(made.Links.Self.Href))
	if err == nil {
		err = p.receive(ctx, c, made.WebsockNotifConfig.WebsocketURI)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if gone := c.Unsubscribe(end, made.Links.Self.Href); gone != nil && !errors.Is(gone, client.ErrNotFound) {
		err = errors.Join(err, fmt.Errorf("remove the subscription: %w", gone))
	}
	return err
}

// clientOf is a client of the platform that a WebSocket's URI names.
func clientOf(o listenOptions) (*client.Client, error) {
	u, err := url.Parse(o.uri)
	if err != nil || u.User != nil || u.Host == "" {
		return nil, errors.New("--websocket: the URI must be ws[s]://HOST[:PORT]/PATH, without a user")
	}
	transport, err := agent.NewTransport(agent.TLS{CAFile: o.ca})
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	c, err := client.New(client.Options{BaseURL: "http" + strings.TrimPrefix(u.Scheme, "ws") + "://" + u.Host,
		HTTPClient: &http.Client{Transport: transport, Timeout: socketTimeout}})
	if err != nil {
		return nil, fmt.Errorf("--websocket: %w", err)
	}
	return c, nil
}

// clientsOf are clients of the configured platform, one for each endpoint.
func clientsOf(c conf.Agent) (all []*client.Client, err error) {
	o, err := agentOptions(c)
	if err != nil {
		return nil, err
	}
	for _, endpoint := range o.Endpoints {
		one, err := client.New(client.Options{BaseURL: endpoint, Prefix: o.Prefix,
			HTTPClient: &http.Client{Transport: agent.WithToken(o.Transport, o.Token), Timeout: o.Timeout}})
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// subscribe subscribes to every change of services, at the first endpoint that answers.
func subscribe(ctx context.Context, clients []*client.Client, app string) (c *client.Client, made mp1.Subscription, err error) {
	var p *client.Problem
	for _, c = range clients {
		made, err = c.Subscribe(ctx, app, mp1.Subscription{WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}})
		if err == nil || errors.As(err, &p) || errors.Is(err, agent.ErrToken) {
			break
		}
	}
	switch {
	case err != nil:
		return nil, made, fmt.Errorf("subscribe: %w", err)
	case made.Links == nil || made.WebsockNotifConfig == nil || made.WebsockNotifConfig.WebsocketURI == "":
		return nil, made, errors.New("subscribe: the platform offers no WebSocket for notifications")
	}
	return c, made, nil
}

// receive prints what comes by a WebSocket.
func (p *printer) receive(ctx context.Context, c *client.Client, uri string) error {
	if path, _, err := client.HrefPath(uri); err == nil { // the client knows the host, perhaps by another name
		uri = path
	}
	failed := false
	err := c.Receive(ctx, client.Stream{URI: uri, To: p.notifications(),
		OnConnect: func() {
			failed = false
			_ = p.write("listening by WebSocket\n")
		},
		OnLoss: func(err error) {
			if !failed { // the others say the same
				_ = p.write(fmt.Sprintf("%s the connection is lost, and made again: %s\n", p.now().Format("15:04:05.000"), logs.Clean(withoutClient(err))))
			}
			failed = true
		}})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return fmt.Errorf("the WebSocket: %w", err)
}

// withoutClient is the text of an error without what all of them begin with.
func withoutClient(err error) string { return strings.TrimPrefix(err.Error(), "mp1 client: ") }

// notifications prints each one once. What could not be printed comes again.
func (p *printer) notifications() *client.Notifications {
	return client.NewNotifications(func(ctx context.Context, n mp1.Notification) error {
		shown := notification{Type: n.NotificationType}
		for _, r := range n.ServiceReferences {
			shown.References = append(shown.References, reference{r.SerName, r.SerInstanceID, string(r.State), string(r.ChangeType)})
		}
		return p.print(shown, client.WebhookID(ctx))
	}, client.OnTermination(func(ctx context.Context, n mp1.TerminationNotification) error {
		return p.print(notification{Type: n.NotificationType, Action: string(n.OperationAction),
			Timeout: n.MaxGracefulTimeout}, client.WebhookID(ctx))
	}))
}
