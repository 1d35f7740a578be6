package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// ConfirmReady tells the platform that app is up and running (§7.2.12.3.4). It may be told
// again. A platform that does not have it answers with [ErrNotFound], as it does for an
// application that it does not know.
func (c *Client) ConfirmReady(ctx context.Context, app string) error {
	path, err := c.supported(app, "/confirm_ready")
	if err != nil {
		return err
	}
	body := struct {
		Indication string `json:"indication"`
	}{"READY"}
	return c.call(ctx, request{method: http.MethodPost, path: path, body: body, status: http.StatusNoContent}, nil)
}

// ConfirmTermination tells the platform that app has done what it had to before it is stopped
// or terminated (§7.2.11.3.4): the platform removes at once what is left of it. action is the
// OperationAction of the [mp1.TerminationNotification]; another one is an [ErrInvalid]. It is an
// [ErrConflict] while no termination goes on.
func (c *Client) ConfirmTermination(ctx context.Context, app string, action mp1.OperationAction) error {
	path, err := c.supported(app, "/confirm_termination")
	if err != nil {
		return err
	}
	body := struct {
		Action mp1.OperationAction `json:"operationAction"`
	}{action}
	return c.call(ctx, request{method: http.MethodPost, path: path, body: body, status: http.StatusNoContent}, nil)
}

// The least and the most that [Client.DeregisterGracefully] takes.
const (
	minGrace = time.Second
	maxGrace = 24 * time.Hour
)

// DeregisterGracefully begins the termination of app: the platform notifies its subscriptions
// to that, waits for [Client.ConfirmTermination] or until timeout is over, and then removes
// what [Client.DeregisterApplication] removes. It returns when the termination has begun.
// timeout is from a second to a day, in whole seconds; anything else is an [*mp1.Invalid] and
// nothing is sent. While a termination goes on it is an [ErrConflict]. MEC 011 leaves open how
// a termination is begun: this is an extension of our platform, and what an operator does.
func (c *Client) DeregisterGracefully(ctx context.Context, app string, timeout time.Duration, options ...RequestOption) error {
	path, err := c.registration(app)
	if err != nil {
		return err
	}
	if timeout < minGrace || timeout > maxGrace || timeout%time.Second != 0 {
		return &mp1.Invalid{Attribute: "graceful", Rule: "must be whole seconds, from one to a day"}
	}
	query := "graceful=" + strconv.FormatInt(int64(timeout/time.Second), 10)
	return c.call(ctx, request{method: http.MethodDelete, path: path, query: query, status: http.StatusAccepted, options: options}, nil)
}

// SubscribeTermination asks to be told before app is stopped or terminated (§7.2.3.3.4).
// Where the notification goes, and what the result is for, is as for [Client.Subscribe];
// [OnTermination] takes it. What s says of changes of services is not sent.
func (c *Client) SubscribeTermination(ctx context.Context, app string, s mp1.Subscription, options ...RequestOption) (out mp1.Subscription, err error) {
	path, err := c.supported(app, "/subscriptions")
	if err != nil {
		return out, err
	}
	s.SubscriptionType, s.AppInstanceID, s.Links, s.FilteringCriteria = mp1.TerminationSubscriptionType, app, nil, nil
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: s, status: http.StatusCreated, options: options}, &out)
	return out, err
}

// TerminationSubscriptions returns links to the subscriptions of app to its termination
// (§7.2.3.3.1), for Subscription and Unsubscribe.
func (c *Client) TerminationSubscriptions(ctx context.Context, app string) ([]mp1.SubscriptionLink, error) {
	path, err := c.supported(app, "/subscriptions")
	if err != nil {
		return nil, err
	}
	return c.links(ctx, path)
}

// supported is a path below app in the application support API.
func (c *Client) supported(app, below string) (string, error) {
	return c.support + "/applications/" + app + below, mp1.CheckID("appInstanceId", app)
}
