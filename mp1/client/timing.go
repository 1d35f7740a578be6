package client

import (
	"context"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// CurrentTime returns the time of the platform, and whether it is that of UTC (§7.2.6.3.1).
func (c *Client) CurrentTime(ctx context.Context) (out mp1.CurrentTime, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: c.support + "/timing/current_time", status: http.StatusOK}, &out)
	return out, err
}

// TimingCaps returns by which servers the application can set its own clock (§7.2.5.3.1).
func (c *Client) TimingCaps(ctx context.Context) (out mp1.TimingCaps, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: c.support + "/timing/timing_caps", status: http.StatusOK}, &out)
	return out, err
}
