// Package client is the application's side of Mp1 over net/http: it registers,
// discovers and sends heartbeats. It must not know anything of the server behind
// the reference point, nor when a heartbeat is due.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Options of a client.
type Options struct {
	// BaseURL is the platform's root, such as https://mep.example:30100. A path in it
	// stands before Prefix.
	BaseURL string
	// Prefix stands before mp1.Base: "" or, behind EdgeGallery's gateway, "/mep".
	Prefix string
	// HTTPClient brings TLS, identity and timeouts. nil: ten seconds, the system's
	// roots. Its CheckRedirect is not used: no redirect is followed.
	HTTPClient *http.Client
}

// Client talks to one platform. It may be used by many goroutines.
type Client struct {
	origin *url.URL // scheme and host, which every href must keep
	root   string   // path of the service management API
	http   http.Client
	put    atomic.Bool // the platform has shown that it takes heartbeats by PUT only
}

const (
	usualTimeout = 10 * time.Second
	// idleTimeout is shorter than servers keep connections (ours 90 s), so that it is
	// we who close them, and no request runs into a closed one.
	idleTimeout = 60 * time.Second
	usualConns  = 16
)

// New makes a client; nothing is sent yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil:
		return nil, errors.New("mp1 client: the base URL cannot be read")
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("mp1 client: the base URL must be http://HOST[:PORT] or https://HOST[:PORT]")
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, errors.New("mp1 client: the base URL must not have user, query or fragment")
	case o.Prefix != "" && (!strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/")):
		return nil, errors.New("mp1 client: the prefix must begin with / and not end with it")
	}
	c := &Client{
		origin: &url.URL{Scheme: base.Scheme, Host: base.Host},
		root:   strings.TrimSuffix(base.EscapedPath(), "/") + o.Prefix + mp1.Base,
	}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	} else {
		c.http = http.Client{Timeout: usualTimeout, Transport: transport()}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func transport() http.RoundTripper {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody replaced it, and means it
		return http.DefaultTransport
	}
	t := usual.Clone()
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = usualConns, idleTimeout
	return t
}

// CloseIdle closes the connections that are not in use.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Register enters a service of app (§8.2.6.3.4) and returns it as the platform shows
// it; LivenessHref of that says where heartbeats go.
func (c *Client) Register(ctx context.Context, app string, info mp1.ServiceInfo) (mp1.ServiceInfo, error) {
	var out mp1.ServiceInfo
	path, err := ofApplication(app)
	if err != nil {
		return out, err
	}
	info.SerInstanceID, info.Links = "", nil // the platform's to assign
	body, err := json.Marshal(info)
	if err != nil {
		return out, fmt.Errorf("mp1 client: %w", err)
	}
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: body, most: maxAnswer, want: http.StatusCreated}, &out)
	return out, err
}

// Update replaces what the platform knows of a service of app (§8.2.7.3.2) and
// returns it as the platform shows it.
func (c *Client) Update(ctx context.Context, app, id string, info mp1.ServiceInfo) (mp1.ServiceInfo, error) {
	var out mp1.ServiceInfo
	path, err := ofApplication(app)
	if err != nil {
		return out, err
	}
	if err := mp1.CheckID("serInstanceId", id); err != nil {
		return out, err
	}
	info.SerInstanceID, info.Links = "", nil
	body, err := json.Marshal(info)
	if err != nil {
		return out, fmt.Errorf("mp1 client: %w", err)
	}
	err = c.call(ctx, request{method: http.MethodPut, path: path + "/" + id, body: body, most: maxAnswer, want: http.StatusOK}, &out)
	return out, err
}

// Service reads one service, whatever its state (§8.2.4.3.1).
func (c *Client) Service(ctx context.Context, id string) (mp1.ServiceInfo, error) {
	var out mp1.ServiceInfo
	if err := mp1.CheckID("serInstanceId", id); err != nil {
		return out, err
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/services/" + id, most: maxAnswer, want: http.StatusOK}, &out)
	return out, err
}

// Services discovers (§8.2.3.3.1).
func (c *Client) Services(ctx context.Context, f mp1.Filter) ([]mp1.ServiceInfo, error) {
	var out []mp1.ServiceInfo
	err := c.call(ctx, request{method: http.MethodGet, path: "/services", query: f.Query(), most: maxList, want: http.StatusOK}, &out)
	return out, err
}

// ApplicationServices lists the services of app (§8.2.6.3.1).
func (c *Client) ApplicationServices(ctx context.Context, app string, f mp1.Filter) ([]mp1.ServiceInfo, error) {
	path, err := ofApplication(app)
	if err != nil {
		return nil, err
	}
	var out []mp1.ServiceInfo
	err = c.call(ctx, request{method: http.MethodGet, path: path, query: f.Query(), most: maxList, want: http.StatusOK}, &out)
	return out, err
}

// Transports are those that the platform offers (§8.2.5.3.1).
func (c *Client) Transports(ctx context.Context) ([]mp1.TransportInfo, error) {
	var out []mp1.TransportInfo
	err := c.call(ctx, request{method: http.MethodGet, path: "/transports", most: maxList, want: http.StatusOK}, &out)
	return out, err
}

// Remove deregisters a service of app (§8.2.7.3.5).
func (c *Client) Remove(ctx context.Context, app, id string) error {
	path, err := ofApplication(app)
	if err != nil {
		return err
	}
	if err := mp1.CheckID("serInstanceId", id); err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, path: path + "/" + id, most: maxAnswer, want: http.StatusNoContent}, nil)
}

func ofApplication(app string) (string, error) {
	return "/applications/" + app + "/services", mp1.CheckID("appInstanceId", app)
}
