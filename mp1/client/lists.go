package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// maxList is the most bytes of a list that is returned as a whole. An entry counts as
// minEntry at least: many small ones would take far more memory than their text.
const (
	maxList  = 256 << 20
	minEntry = 1 << 10
)

// Services returns the services that f selects and that the platform shows to consumers
// (§8.2.3.3.1). [Client.EachService] does so one by one.
func (c *Client) Services(ctx context.Context, f mp1.Filter) ([]mp1.ServiceInfo, error) {
	return collect(each[mp1.ServiceInfo](ctx, c, c.root+"/services", f.Query(), maxList))
}

// EachService goes through what Services returns, however long the list is: it reads it as it
// comes and keeps one service at a time. After an error it ends.
//
// The Timeout of Options.HTTPClient bounds here how long the platform may send nothing, not
// how long the list takes. Who stops early gives the rest up.
func (c *Client) EachService(ctx context.Context, f mp1.Filter) iter.Seq2[mp1.ServiceInfo, error] {
	return each[mp1.ServiceInfo](ctx, c, c.root+"/services", f.Query(), unlimited)
}

// ApplicationServices returns the services of app that f selects, in every state
// (§8.2.6.3.1). [Client.EachApplicationService] does so one by one.
func (c *Client) ApplicationServices(ctx context.Context, app string, f mp1.Filter) ([]mp1.ServiceInfo, error) {
	path, err := c.ownServices(app)
	if err != nil {
		return nil, err
	}
	return collect(each[mp1.ServiceInfo](ctx, c, path, f.Query(), maxList))
}

// EachApplicationService goes through what ApplicationServices returns, as
// [Client.EachService] does.
func (c *Client) EachApplicationService(ctx context.Context, app string, f mp1.Filter) iter.Seq2[mp1.ServiceInfo, error] {
	path, err := c.ownServices(app)
	if err != nil {
		return func(yield func(mp1.ServiceInfo, error) bool) { yield(mp1.ServiceInfo{}, err) }
	}
	return each[mp1.ServiceInfo](ctx, c, path, f.Query(), unlimited)
}

// Transports returns the transports that the platform offers (§8.2.5.3.1).
func (c *Client) Transports(ctx context.Context) ([]mp1.TransportInfo, error) {
	return collect(each[mp1.TransportInfo](ctx, c, c.root+"/transports", "", maxList))
}

// collect returns what a list has, or its error.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for one, err := range list {
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// unlimited is the most bytes of a list of which one entry at a time is kept.
const unlimited = 1 << 62

// each GETs a list of at most so many bytes and goes through its entries.
func each[T any](ctx context.Context, c *Client, path, query string, most int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		l, err := c.openList(ctx, request{method: http.MethodGet, path: path, query: query, status: http.StatusOK}, most)
		if err != nil {
			yield(none, err)
			return
		}
		defer l.close()
		for {
			raw, err := l.next()
			if raw == nil && err == nil {
				return
			}
			var one T
			if err == nil {
				err = decode(raw, &one)
			}
			if err != nil {
				yield(none, err)
				return
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

// errSilent is the error of a list of which nothing more comes.
var errSilent = fmt.Errorf("mp1 client: the platform sends nothing: %w", context.DeadlineExceeded)

// list is an answer that is an array, while it is read.
type list struct {
	ctx    context.Context //nolint:containedctx // a list lives as long as its request
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	broken error // of the connection
	most   int64 // bytes that the list may still have
	entry  int64 // bytes that may be read for one entry
	silent *time.Timer
	limit  time.Duration // how long the platform may send nothing; 0: for ever
	parser *json.Decoder
	raw    json.RawMessage
	begun  bool
}

// openList sends a request whose answer is an array. net/http's timeout is of the whole
// answer, and a long list on a slow link would never be read: here it is of each silence.
func (c *Client) openList(ctx context.Context, q request, most int64) (*list, error) {
	l := &list{most: most, entry: maxAnswer, limit: c.http.Timeout}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	if l.limit > 0 {
		l.silent = time.AfterFunc(l.limit, func() { l.cancel(errSilent) })
	}
	patient := c.http
	patient.Timeout = 0
	resp, err := c.send(l.ctx, q, &patient) //nolint:bodyclose // close does
	if err != nil {
		err = l.why(err)
		l.close()
		return nil, err
	}
	l.body = resp.Body
	if resp.StatusCode != q.status {
		defer l.close()
		data, _ := io.ReadAll(io.LimitReader(l, maxAnswer))
		return nil, readProblem(resp, data)
	}
	l.parser = json.NewDecoder(l)
	return l, nil
}

// Read implements io.Reader for the parser, within the bounds. Only the time in which it
// waits for the platform counts as silence.
func (l *list) Read(p []byte) (int, error) {
	most := min(l.most, l.entry)
	if most <= 0 {
		l.broken = ErrTooLarge
		return 0, l.broken
	}
	if l.silent != nil {
		l.silent.Reset(l.limit)
		defer l.silent.Stop()
	}
	n, err := l.body.Read(p[:min(int64(len(p)), most)])
	l.most, l.entry = l.most-int64(n), l.entry-int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		l.broken = l.why(fmt.Errorf("mp1 client: %w", err))
	}
	return n, err
}

// next returns the text of the next entry, valid until it is called again; nil after the last.
func (l *list) next() (json.RawMessage, error) {
	if !l.begun {
		l.begun = true
		first, err := l.parser.Token()
		if err == nil && first == nil { // null: no entries
			return nil, l.end()
		}
		if err != nil || first != json.Delim('[') {
			return nil, l.fault()
		}
	}
	l.entry = maxAnswer
	if !l.parser.More() {
		if _, err := l.parser.Token(); err != nil {
			return nil, l.fault()
		}
		return nil, l.end()
	}
	if err := l.parser.Decode(&l.raw); err != nil {
		return nil, l.fault()
	}
	l.most -= max(0, minEntry-int64(len(l.raw)))
	if len(l.raw) > maxAnswer || l.most < 0 {
		return nil, ErrTooLarge
	}
	return l.raw, nil
}

// end reads the answer to its end, for net/http cannot use the connection again otherwise.
func (l *list) end() error {
	if _, err := l.parser.Token(); !errors.Is(err, io.EOF) || l.broken != nil {
		return l.fault()
	}
	return nil
}

// fault is why the list cannot be read on: the connection, a bound, or what was sent.
func (l *list) fault() error {
	if l.broken != nil {
		return l.broken
	}
	return errUnreadable
}

// why is the silence that ended the request, or else its error.
func (l *list) why(err error) error {
	if errors.Is(context.Cause(l.ctx), errSilent) {
		return errSilent
	}
	return err
}

func (l *list) close() {
	if l.silent != nil {
		l.silent.Stop()
	}
	l.cancel(nil)
	if l.body != nil {
		_ = l.body.Close()
	}
}
