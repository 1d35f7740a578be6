// Package mepauth asks EdgeGallery's mepauth: which services an application requires, for it may
// discover no others, and to forget an application that is gone. It must not know how services are
// discovered, nor the keys and secrets that mepauth tells beside.
package mepauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// Timeout is how long a request to mepauth may take. A list of services waits for it.
	Timeout = 5 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 256 << 10
	// maxQuestions and maxRemovals are how many requests may be under way; more wait for them.
	// Removals that hang must not leave lists of services empty.
	maxQuestions = 12
	maxRemovals  = 4
	root         = "/mep/appMng/v1/applications/"
)

// ErrRefused says that mepauth answered and did not do what it was asked. The same again is of no
// use.
var ErrRefused = errors.New("mepauth refuses the request")

// Options are how a Client is made. All are mandatory.
type Options struct {
	URL    string // scheme://host:port
	Client *http.Client
	Clock  func() (plugins.Instant, int64) // that of plugins.NewClock
	Log    openlog.Logger
}

// Client asks one mepauth. It is safe for concurrent use.
type Client struct {
	root    string
	web     *http.Client
	address string // of ours, which mepauth wants to be told
	// questions and removals are the requests that are under way.
	questions, removals chan struct{}
	cache               cache
	report              report
}

// New makes a client. It asks nothing yet.
func New(o Options) *Client {
	return &Client{root: strings.TrimSuffix(o.URL, "/") + root, web: o.Client, address: ownAddress(), questions: make(chan struct{}, maxQuestions), removals: make(chan struct{}, maxRemovals),
		cache: cache{clock: o.Clock, of: map[string]*entry{}}, report: report{log: o.Log}}
}

// ownAddress is an address of this machine. mepauth refuses requests without one in X-Real-Ip, and
// writes it to its log.
func ownAddress() string {
	for _, a := range plugins.OwnAddresses() {
		if a.Is4() && !a.IsLoopback() {
			return a.String()
		}
	}
	return "127.0.0.1"
}

// Required are the services that an application may discover. Where mepauth does not say it, be
// it for whatever reason, it may discover none, and the log has the reason. An answer counts for
// some seconds, and applications that ask at the same moment share one request.
func (c *Client) Required(ctx context.Context, app string) mp1.RequiredServices {
	if !mp1.ValidID(app) { // it becomes part of a path
		return mp1.RequiredServices{}
	}
	return c.cache.get(ctx, app, func(failedBefore bool) (mp1.RequiredServices, bool) {
		// The request is not that of whoever asked first: others wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
		defer cancel()
		r, err := c.ask(ctx, app)
		c.report.result(app, err, failedBefore)
		return r, err == nil
	})
}

func (c *Client) ask(ctx context.Context, app string) (r mp1.RequiredServices, err error) {
	status, body, err := c.send(ctx, http.MethodGet, app)
	switch {
	case err != nil:
		return r, err
	case status == http.StatusBadRequest, status == http.StatusNotFound:
		return r, fmt.Errorf("%w: it answers %d, as it does for applications that it does not know", ErrRefused, status)
	case status != http.StatusOK:
		return r, fmt.Errorf("it answers %d", status)
	}
	if r, err = mp1.DecodeRequiredServices(body); err != nil {
		return r, fmt.Errorf("%w: its answer cannot be read: %s", ErrRefused, plugins.Clean(err.Error()))
	}
	return r, nil
}

// Forget has mepauth forget an application, with its keys. That it does not know it is no error.
// After ErrRefused the same again is of no use; any other error is one of the way to mepauth, or
// of its database.
func (c *Client) Forget(ctx context.Context, app string) error {
	if !mp1.ValidID(app) {
		return fmt.Errorf("%w: the application has no valid id", ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	c.cache.drop(app)
	defer c.cache.drop(app) // what was asked meanwhile
	switch status, _, err := c.send(ctx, http.MethodDelete, app); {
	case err != nil:
		return err
	case status >= 200 && status < 300, status == http.StatusNotFound:
		return nil
	case status == http.StatusBadRequest:
		return fmt.Errorf("%w: it answers %d; its log says why", ErrRefused, status)
	default:
		return fmt.Errorf("mepauth answers %d", status)
	}
}

// send sends a request about an application, whose id is valid.
func (c *Client) send(ctx context.Context, method, app string) (status int, body []byte, err error) {
	calls := c.questions
	if method == http.MethodDelete {
		calls = c.removals
	}
	select {
	case calls <- struct{}{}:
		defer func() { <-calls }()
	case <-ctx.Done():
		return 0, nil, errors.New("too many requests wait for its answers")
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+app+"/confs", nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Real-Ip", c.address)
	req.Header.Set("User-Agent", "mepserver")
	res, err := c.web.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("it does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // what is not read is of no use
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("its answer ends early: %w", err)
	case len(body) > maxAnswer:
		return 0, nil, fmt.Errorf("%w: its answer is larger than %d bytes", ErrRefused, maxAnswer)
	}
	return res.StatusCode, body, nil
}
