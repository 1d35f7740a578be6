package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Changes returns the newest changes of services since a time, at most so many, the oldest first,
// as far as the platform keeps them; the zero time is an hour ago, and 0 as many as it gives. It is
// for operators. [Client.Events] goes on behind their Revision:
//
//	last, err := c.Changes(ctx, time.Time{}, 0)
//	for e, err := range c.Events(ctx, mp1.Filter{}, strconv.FormatInt(last.Revision, 10)) {
//
// It is an extension of our platform, which MEC 011 does not have.
func (c *Client) Changes(ctx context.Context, since time.Time, most int) (out mp1.ServiceChanges, err error) {
	q := url.Values{}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if most != 0 {
		q.Set("limit", strconv.Itoa(most))
	}
	err = c.call(ctx, request{method: http.MethodGet, path: c.changes, query: q.Encode(), status: http.StatusOK}, &out)
	return out, err
}
