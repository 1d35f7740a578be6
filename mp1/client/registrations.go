package client

import (
	"context"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// RegisterApplication registers an application instance (§7.2.13.3.4) and returns its
// registration. If its AppInstanceID is "", the platform chooses one, and the answer has it.
// An instance that is registered already is an [ErrConflict].
func (c *Client) RegisterApplication(ctx context.Context, info mp1.AppInfo, options ...RequestOption) (out mp1.AppInfo, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: c.support + "/registrations", body: info, status: http.StatusCreated, options: options}, &out)
	return out, err
}

// Registration returns the registration of app (§7.2.14.3.1).
func (c *Client) Registration(ctx context.Context, app string, options ...RequestOption) (out mp1.AppInfo, err error) {
	path, err := c.registration(app)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, path: path, status: http.StatusOK, options: options}, &out)
	return out, err
}

// UpdateApplication replaces the registration of app (§7.2.14.3.2).
func (c *Client) UpdateApplication(ctx context.Context, app string, info mp1.AppInfo, options ...RequestOption) error {
	path, err := c.registration(app)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodPut, path: path, body: info, status: http.StatusNoContent, options: options}, nil)
}

// DeregisterApplication removes the registration of app, and its services and subscriptions
// with it (§7.2.14.3.5).
func (c *Client) DeregisterApplication(ctx context.Context, app string, options ...RequestOption) error {
	path, err := c.registration(app)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, path: path, status: http.StatusNoContent, options: options}, nil)
}

func (c *Client) registration(app string) (string, error) {
	return c.support + "/registrations/" + app, mp1.CheckID("appInstanceId", app)
}
