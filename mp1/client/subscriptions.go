package client

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/mec-liveness/mepserver/mp1"
)

// Subscribe asks for notifications on behalf of app (§8.2.8.3.4). They are POSTed to
// s.CallbackReference, where [Notifications] takes them. Links.Self.Href of the result is the
// subscription, for Subscription and Unsubscribe. [Client.Resubscribe] is for programs that
// start again.
func (c *Client) Subscribe(ctx context.Context, app string, s mp1.Subscription, options ...RequestOption) (out mp1.Subscription, err error) {
	path, err := c.subscriptions(app)
	if err != nil {
		return out, err
	}
	s.SubscriptionType, s.AppInstanceID, s.Links = mp1.SubscriptionType, "", nil
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: s, status: http.StatusCreated, options: options}, &out)
	return out, err
}

// Resubscribe ends the subscriptions of app that have the callback and the criteria of s, as an
// earlier run of the program has left them, and subscribes. So a program that starts again has
// one subscription, and not one more each time, and one that lives: a subscription that was
// answered 410 Gone looks like any other and is told nothing. What changed before is not
// told either, so look at the services afterwards.
func (c *Client) Resubscribe(ctx context.Context, app string, s mp1.Subscription) (mp1.Subscription, error) {
	links, err := c.Subscriptions(ctx, app)
	if err != nil && !errors.Is(err, ErrNotFound) { // which is EdgeGallery's word for no subscriptions
		return mp1.Subscription{}, err
	}
	for _, link := range links {
		there, err := c.Subscription(ctx, link.Href)
		if err == nil && there.CallbackReference == s.CallbackReference && sameCriteria(there.FilteringCriteria, s.FilteringCriteria) {
			err = c.Unsubscribe(ctx, link.Href)
		}
		if err != nil && !errors.Is(err, ErrNotFound) { // it may end meanwhile
			return mp1.Subscription{}, err
		}
	}
	return c.Subscribe(ctx, app, s)
}

// sameCriteria compares criteria as they are sent: no criteria and none that are set are the
// same.
func sameCriteria(a, b *mp1.FilteringCriteria) bool {
	var none mp1.FilteringCriteria
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	return reflect.DeepEqual(withoutEmpty(*a), withoutEmpty(*b))
}

// withoutEmpty has nil for a list that is empty.
func withoutEmpty(c mp1.FilteringCriteria) mp1.FilteringCriteria {
	if len(c.SerInstanceIDs) == 0 {
		c.SerInstanceIDs = nil
	}
	if len(c.SerNames) == 0 {
		c.SerNames = nil
	}
	if len(c.SerCategories) == 0 {
		c.SerCategories = nil
	}
	if len(c.States) == 0 {
		c.States = nil
	}
	return c
}

// maxLinks is the most bytes of a list of links, which are some hundred bytes each.
const maxLinks = 8 << 20

// Subscriptions returns links to the subscriptions of app (§8.2.8.3.1).
func (c *Client) Subscriptions(ctx context.Context, app string) ([]mp1.SubscriptionLink, error) {
	path, err := c.subscriptions(app)
	if err != nil {
		return nil, err
	}
	return c.links(ctx, path)
}

func (c *Client) links(ctx context.Context, path string) ([]mp1.SubscriptionLink, error) {
	var out mp1.SubscriptionLinkList
	err := c.call(ctx, request{method: http.MethodGet, path: path, status: http.StatusOK, maxBytes: maxLinks}, &out)
	return out.Links.Subscriptions, err
}

// Subscription returns the subscription at the href that the platform gave (§8.2.9.3.1).
func (c *Client) Subscription(ctx context.Context, href string, options ...RequestOption) (out mp1.Subscription, err error) {
	target, err := c.resolve(href)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, target: target, status: http.StatusOK, options: options}, &out)
	return out, err
}

// Unsubscribe ends the subscription at the href that the platform gave (§8.2.9.3.5). No
// notification is sent for it after this returns nil.
func (c *Client) Unsubscribe(ctx context.Context, href string, options ...RequestOption) error {
	target, err := c.resolve(href)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodDelete, target: target, status: http.StatusNoContent, options: options}, nil)
}

func (c *Client) subscriptions(app string) (string, error) {
	return c.root + "/applications/" + app + "/subscriptions", mp1.CheckID("appInstanceId", app)
}
