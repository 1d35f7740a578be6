// Package client is the application's side of ETSI MEC 011 (reference point Mp1) over
// net/http: it registers, discovers and subscribes, and sends single heartbeats. It must
// not know anything of the server behind the reference point, nor when a heartbeat is due:
// package agent knows that.
//
// # Errors
//
// A request that the platform refuses ends with a [*Problem], which has the HTTP status and
// which errors.Is compares with [ErrNotFound], [ErrConflict], [ErrStale], [ErrLimit],
// [ErrUnavailable] and the others; an id that may not be sent ends with an [*mp1.Invalid]. After any other error nobody knows
// whether the platform has carried the request out: the connection failed, which net/http's
// error inside says, or the answer was too large or not what MEC 011 has.
//
// # Trust
//
// A client follows no redirect, sends nothing to another host than that of its base URL,
// and reads no more of an answer than Mp1 answers need.
package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Options are the settings of a Client.
type Options struct {
	// BaseURL is the root of the platform, such as https://mep.example:30100. It may have a
	// path, which stands before Prefix. It must not have a user, a query or a fragment.
	BaseURL string
	// Prefix stands before mp1.Base in every path. It is "" or, behind EdgeGallery's
	// gateway, "/mep".
	Prefix string
	// HTTPClient brings TLS, the application's identity and timeouts. nil means a timeout of
	// ten seconds and the system's certificates. Its CheckRedirect is not used.
	HTTPClient *http.Client
	// Agent, if it is not "", is sent with every request as Mep-Agent: PLACE.RUN, each of
	// them 1 to 64 ASCII letters, digits, underscores and hyphens. It says which agent of the
	// application asks: a platform that keeps agents removes a service only when its last one
	// does (docs/adr/0030).
	Agent string
}

// agentHeader is the header of Options.Agent. A platform that keeps agents echoes it.
const agentHeader = "Mep-Agent"

// agentScopeHeader is the header of AtPlace.
const agentScopeHeader = "Mep-Agent-Scope"

// validAgent reports whether s may be an Options.Agent.
func validAgent(s string) bool {
	place, run, two := strings.Cut(s, ".")
	return two && validAgentPart(place) && validAgentPart(run)
}

func validAgentPart(s string) bool {
	const longest = 64
	outside := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	}
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, outside)
}

// Client talks to one platform. It is safe for concurrent use.
type Client struct {
	origin  *url.URL // scheme and host, which every href must keep
	root    string   // the path of the service management API
	support string   // the path of the application support API
	// webhookKeys is the path of the keys by which notifications are signed, events that of the
	// event stream, heartbeats that of many heartbeats at once.
	webhookKeys, events, changes, heartbeats string
	http                                     http.Client
	putOnly                                  atomic.Bool // the platform has refused a heartbeat by PATCH and accepted it by PUT
	agent                                    string
	kept                                     atomic.Bool               // an answer has echoed the agent
	noBatches                                atomic.Pointer[time.Time] // until when the platform is taken for one without batches
}

const (
	defaultTimeout = 10 * time.Second
	// idleTimeout is shorter than the time for which servers keep connections (ours 90 s):
	// a request that is sent while the server closes its connection fails.
	idleTimeout      = 60 * time.Second
	idleConnsPerHost = 16
)

// New returns a client. It sends nothing. It fails if an option is not valid.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil, base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("mp1 client: the base URL must be http://HOST[:PORT] or https://HOST[:PORT]")
	case strings.Contains(base.Path+"/", mp1.Base+"/"):
		return nil, errors.New("mp1 client: the base URL must not contain " + mp1.Base + ", which is added to it")
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, errors.New("mp1 client: the base URL must not have user, query or fragment")
	case o.Prefix != "" && (!strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/")):
		return nil, errors.New("mp1 client: the prefix must begin with / and not end with it")
	case o.Agent != "" && !validAgent(o.Agent):
		return nil, errors.New("mp1 client: the agent must be PLACE.RUN, each 1 to 64 letters, digits, underscores and hyphens")
	}
	before := strings.TrimSuffix(base.EscapedPath(), "/") + o.Prefix
	c := &Client{origin: &url.URL{Scheme: base.Scheme, Host: base.Host}, root: before + mp1.Base, support: before + mp1.AppSupportBase, webhookKeys: before + mp1.WebhookKeysPath, events: before + mp1.EventsPath, changes: before + mp1.ChangesPath, heartbeats: before + mp1.HeartbeatsPath, agent: o.Agent}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	} else {
		c.http = http.Client{Timeout: defaultTimeout, Transport: newTransport()}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func newTransport() http.RoundTripper {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // the program has replaced it
		return http.DefaultTransport
	}
	t := usual.Clone()
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = idleConnsPerHost, idleTimeout
	return t
}

// CloseIdle closes the connections that are not in use. The client can be used after it.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// AgentKept reports whether the platform keeps agents: an answer has echoed Options.Agent.
// It is false before the first answer.
func (c *Client) AgentKept() bool { return c.kept.Load() }

// Register registers a service of the application instance app (§8.2.6.3.4) and returns it
// as the platform shows it, with its SerInstanceID. SerInstanceID and Links of info are not
// sent. [LivenessHref] says where its heartbeats go. What the platform would refuse,
// [mp1.ServiceInfo.Validate] finds before.
func (c *Client) Register(ctx context.Context, app string, info mp1.ServiceInfo, options ...RequestOption) (out mp1.ServiceInfo, err error) {
	path, err := c.ownServices(app)
	if err != nil {
		return out, err
	}
	info.SerInstanceID, info.Links = "", nil // the platform assigns them
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: info, status: http.StatusCreated, options: options}, &out)
	return out, err
}

// Update replaces the registration of a service of app (§8.2.7.3.2) and returns it as the
// platform shows it. Without [IfMatch], a change that somebody else made meanwhile is
// overwritten.
func (c *Client) Update(ctx context.Context, app, id string, info mp1.ServiceInfo, options ...RequestOption) (out mp1.ServiceInfo, err error) {
	path, err := c.ownService(app, id)
	if err != nil {
		return out, err
	}
	info.SerInstanceID, info.Links = "", nil
	err = c.call(ctx, request{method: http.MethodPut, path: path, body: info, status: http.StatusOK, options: options}, &out)
	return out, err
}

// Remove deregisters a service of app (§8.2.7.3.5).
func (c *Client) Remove(ctx context.Context, app, id string, options ...RequestOption) error {
	path, err := c.ownService(app, id)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, path: path, status: http.StatusNoContent, options: options}, nil)
}

// ApplicationService returns one service of app, whatever its state (§8.2.7.3.1). Its [ETag]
// is the one for [IfMatch].
func (c *Client) ApplicationService(ctx context.Context, app, id string, options ...RequestOption) (out mp1.ServiceInfo, err error) {
	path, err := c.ownService(app, id)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, path: path, status: http.StatusOK, options: options}, &out)
	return out, err
}

// Service returns one service, whosever it is and whatever its state (§8.2.4.3.1).
func (c *Client) Service(ctx context.Context, id string, options ...RequestOption) (out mp1.ServiceInfo, err error) {
	if err := mp1.CheckID("serInstanceId", id); err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, path: c.root + "/services/" + id, status: http.StatusOK, options: options}, &out)
	return out, err
}

func (c *Client) ownServices(app string) (string, error) {
	return c.root + "/applications/" + app + "/services", mp1.CheckID("appInstanceId", app)
}

func (c *Client) ownService(app, id string) (string, error) {
	path, err := c.ownServices(app)
	if err != nil {
		return "", err
	}
	return path + "/" + id, mp1.CheckID("serInstanceId", id)
}
