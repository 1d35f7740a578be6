package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Subscribe asks for notifications on behalf of app (§8.2.8.3.4). They are POSTed to
// s.CallbackReference. Links.Self.Href of the result is the subscription, for Subscription
// and Unsubscribe.
func (c *Client) Subscribe(ctx context.Context, app string, s mp1.Subscription) (mp1.Subscription, error) {
	var out mp1.Subscription
	path, err := subscriptionsPath(app)
	if err != nil {
		return out, err
	}
	s.SubscriptionType, s.Links = mp1.SubscriptionType, nil
	body, err := json.Marshal(s)
	if err != nil {
		return out, fmt.Errorf("mp1 client: %w", err)
	}
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: body, maxBytes: maxAnswer, status: http.StatusCreated}, &out)
	return out, err
}

// Subscriptions returns links to the subscriptions of app (§8.2.8.3.1).
func (c *Client) Subscriptions(ctx context.Context, app string) ([]mp1.SubscriptionLink, error) {
	path, err := subscriptionsPath(app)
	if err != nil {
		return nil, err
	}
	var out mp1.SubscriptionLinkList
	err = c.call(ctx, request{method: http.MethodGet, path: path, maxBytes: maxList, status: http.StatusOK}, &out)
	return out.Links.Subscriptions, err
}

// Subscription returns the subscription at the href that the platform gave (§8.2.9.3.1).
func (c *Client) Subscription(ctx context.Context, href string) (mp1.Subscription, error) {
	var out mp1.Subscription
	target, err := c.resolve(href)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, target: target, maxBytes: maxAnswer, status: http.StatusOK}, &out)
	return out, err
}

// Unsubscribe ends the subscription at the href that the platform gave (§8.2.9.3.5). No
// notification is sent for it after this returns nil.
func (c *Client) Unsubscribe(ctx context.Context, href string) error {
	target, err := c.resolve(href)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, target: target, maxBytes: maxAnswer, status: http.StatusNoContent}, nil)
}

func subscriptionsPath(app string) (string, error) {
	return "/applications/" + app + "/subscriptions", mp1.CheckID("appInstanceId", app)
}
