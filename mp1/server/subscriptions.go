package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Subscriptions is what the handlers need of whoever keeps subscriptions. Its errors
// are those below, *mp1.Invalid, and those of package heartbeat.
type Subscriptions interface {
	// Subscribe enters a subscription of app. Links in its notifications carry prefix.
	Subscribe(ctx context.Context, app, prefix string, s mp1.Subscription) (*Subscription, error)
	// Subscription finds one of app's own; those of others do not exist for it.
	Subscription(ctx context.Context, app, id string) (*Subscription, error)
	// SubscriptionsOf lists app's own, the oldest first.
	SubscriptionsOf(ctx context.Context, app string) ([]*Subscription, error)
	// Unsubscribe ends one of app's own: after it no notification is sent any more.
	Unsubscribe(ctx context.Context, app, id string) error
}

// What Subscriptions answer.
var (
	ErrNoSubscription    = errors.New("no such subscription of this application instance")
	ErrSubscriptionLimit = errors.New("the application has reached its limit of subscriptions")
)

var errNoSubscriptions = &problem{status: http.StatusNotFound, detail: "The application has no subscription."}

// Subscription is one subscription as it was made.
type Subscription struct {
	ID, Owner string
	Asked     mp1.Subscription // without links
}

// Path is where a subscription is found; prefix is "" or "/mep".
func (s *Subscription) Path(prefix string) string {
	return subscriptionsHref(prefix, s.Owner) + "/" + s.ID
}

func subscriptionsHref(prefix, app string) string {
	return prefix + mp1.Base + "/applications/" + app + "/subscriptions"
}

func (s *Subscription) represent(prefix string) (body []byte, etag string) {
	out := s.Asked
	out.Links = &mp1.SubscriptionLinks{Self: mp1.LinkType{Href: s.Path(prefix)}}
	body, err := json.Marshal(out)
	if err != nil { // plain data: cannot happen
		body = []byte("{}")
	}
	return append(body, '\n'), etagOf(body)
}

const (
	subscriptionsPattern = "/applications/{appInstanceId}/subscriptions"
	subscriptionPattern  = subscriptionsPattern + "/{subscriptionId}"
)

// subscriptionRows is the part of the route table that the subscriptions have.
func (s *api) subscriptionResources() []resource {
	if s.options.Subscriptions == nil {
		return nil
	}
	return []resource{
		{subscriptionsPattern, []method{
			{name: "mp1.GetSubscriptions", verb: http.MethodGet, handle: s.listSubscriptions},
			{name: "mp1.PostSubscription", verb: http.MethodPost, handle: s.subscribe},
		}},
		{subscriptionPattern, []method{
			{name: "mp1.GetSubscription", verb: http.MethodGet, handle: s.getSubscription},
			{name: "mp1.DeleteSubscription", verb: http.MethodDelete, handle: s.unsubscribe},
		}},
	}
}

// listSubscriptions is §8.2.8.3.1.
func (s *api) listSubscriptions(w http.ResponseWriter, r *http.Request, c target) error {
	all, err := s.options.Subscriptions.SubscriptionsOf(r.Context(), c.app)
	if err != nil {
		return err
	}
	if len(all) == 0 && s.options.NoEmptySubscriptions {
		return errNoSubscriptions
	}
	list := mp1.SubscriptionLinkList{Links: mp1.SubscriptionListLinks{
		Self: mp1.LinkType{Href: subscriptionsHref(c.prefix, c.app)}, Subscriptions: []mp1.SubscriptionLink{}}}
	for _, one := range all {
		list.Links.Subscriptions = append(list.Links.Subscriptions,
			mp1.SubscriptionLink{Href: one.Path(c.prefix), SubscriptionType: mp1.SubscriptionType, Rel: mp1.SubscriptionType})
	}
	writeJSON(w, http.StatusOK, encodeJSON(list))
	return nil
}

// subscribe is §8.2.8.3.4.
func (s *api) subscribe(w http.ResponseWriter, r *http.Request, c target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	asked, err := mp1.DecodeSubscription(body)
	if err != nil {
		return err
	}
	made, err := s.options.Subscriptions.Subscribe(r.Context(), c.app, c.prefix, asked)
	if err != nil {
		return err
	}
	w.Header().Set("Location", made.Path(c.prefix))
	writeSubscription(w, http.StatusCreated, made, c.prefix)
	return nil
}

func writeSubscription(w http.ResponseWriter, status int, one *Subscription, prefix string) {
	body, etag := one.represent(prefix)
	w.Header().Set("ETag", etag)
	writeJSON(w, status, body)
}

// getSubscription is §8.2.9.3.1.
func (s *api) getSubscription(w http.ResponseWriter, r *http.Request, c target) error {
	one, err := s.options.Subscriptions.Subscription(r.Context(), c.app, c.subscription)
	if err != nil {
		return err
	}
	writeSubscription(w, http.StatusOK, one, c.prefix)
	return nil
}

// unsubscribe is §8.2.9.3.5.
func (s *api) unsubscribe(w http.ResponseWriter, r *http.Request, c target) error {
	one, err := s.options.Subscriptions.Subscription(r.Context(), c.app, c.subscription)
	if err != nil {
		return err
	}
	if values := r.Header["If-Match"]; len(values) > 0 {
		if _, etag := one.represent(c.prefix); !ifMatch(values, etag) {
			return heartbeat.ErrStale
		}
	}
	if err := s.options.Subscriptions.Unsubscribe(r.Context(), c.app, c.subscription); err != nil {
		return err
	}
	setSecurityHeaders(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
