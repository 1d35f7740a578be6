package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Subscriptions is what the handlers need of whoever keeps subscriptions. Its errors are
// ErrNoSubscription, ErrSubscriptionLimit, *mp1.Invalid and those of package heartbeat.
type Subscriptions interface {
	// Subscribe makes a subscription of app. Links in its notifications begin with prefix.
	Subscribe(ctx context.Context, app, prefix string, s mp1.Subscription) (*Subscription, error)
	// Subscription returns a subscription of app; those of others are ErrNoSubscription.
	Subscription(ctx context.Context, app, id string) (*Subscription, error)
	// SubscriptionsOf returns the subscriptions of app, the oldest first.
	SubscriptionsOf(ctx context.Context, app string) ([]*Subscription, error)
	// Unsubscribe ends a subscription of app: no notification is sent after it returns.
	Unsubscribe(ctx context.Context, app, id string) error
	// Connect turns the connection of a request into the WebSocket of a subscription of app.
	// Without an error it has answered the request.
	Connect(w http.ResponseWriter, r *http.Request, app, id string) error
}

// Errors of Subscriptions.
var (
	ErrNoSubscription    = errors.New("no such subscription of this application instance")
	ErrSubscriptionLimit = errors.New("the application has reached its limit of subscriptions")
)

var errNoSubscriptions = &problem{status: http.StatusNotFound, detail: "The application has no subscription."}

// Subscription is a subscription as it was made.
type Subscription struct {
	ID, Owner string
	Asked     mp1.Subscription // without links
}

// Path is where a subscription is found. prefix is "" or "/mep".
func (s *Subscription) Path(prefix string) string {
	return subscriptionsHref(prefix+s.Asked.Base(), s.Owner) + "/" + s.ID
}

// subscriptionsHref is where an API lists the subscriptions of an application.
func subscriptionsHref(api, app string) string {
	return api + "/applications/" + app + "/subscriptions"
}

// represent returns the subscription as JSON, with its link under the prefix, and its ETag.
// The WebSocket is told as an absolute URI that begins with origin; the ETag is the same
// under every origin. withID adds the id as a member of its own, as EdgeGallery's platform does.
func (s *Subscription) represent(prefix, origin string, withID bool) (body []byte, etag string) {
	out := shownSubscription{Subscription: s.Asked}
	if withID {
		out.SubscriptionID = s.ID
	}
	out.Links = &mp1.SubscriptionLinks{Self: mp1.LinkType{Href: s.Path(prefix)}}
	if !out.ByWebSocket() {
		body = marshal(out)
		return append(body, '\n'), etagOf(body)
	}
	path := s.Path(prefix) + "/" + mp1.WebSocketSegment
	out.WebsockNotifConfig = &mp1.WebsockNotifConfig{WebsocketURI: path}
	etag = etagOf(marshal(out))
	out.WebsockNotifConfig.WebsocketURI = origin + path
	return append(marshal(out), '\n'), etag
}

// shownSubscription is a subscription in an answer.
type shownSubscription struct {
	SubscriptionID string `json:"subscriptionId,omitempty"`
	mp1.Subscription
}

func marshal(s shownSubscription) []byte {
	body, err := json.Marshal(s)
	if err != nil { // plain data: cannot happen
		body = []byte("{}")
	}
	return body
}

// webSocketOrigin is the scheme, host and port at which whoever sent the request reaches a
// WebSocket of this server: where the request came to. It repeats to the client what the
// client sent, and nobody else is told.
func webSocketOrigin(r *http.Request) string {
	if r.TLS != nil {
		return "wss://" + r.Host
	}
	return "ws://" + r.Host
}

const (
	subscriptionsPattern = "/applications/{appInstanceId}/subscriptions"
	subscriptionPattern  = subscriptionsPattern + "/{subscriptionId}"
	webSocketPattern     = subscriptionPattern + "/" + mp1.WebSocketSegment
)

// subscriptionAPI serves the subscriptions of one of the two APIs of Mp1.
type subscriptionAPI struct {
	*api
	kept   Subscriptions
	of     mp1.Subscription // with the SubscriptionType of all of them
	name   string           // of what they are to, in the names of routes
	decode func(body []byte, app string) (mp1.Subscription, error)
}

// changeSubscriptions are the subscriptions to changes of services.
func (s *api) changeSubscriptions() []resource {
	return (&subscriptionAPI{api: s, kept: s.options.Subscriptions, of: mp1.Subscription{SubscriptionType: mp1.SubscriptionType},
		decode: func(body []byte, _ string) (mp1.Subscription, error) { return mp1.DecodeSubscription(body) }}).resources()
}

// terminationSubscriptions are the subscriptions of applications to their own termination.
func (s *api) terminationSubscriptions() []resource {
	return (&subscriptionAPI{api: s, kept: s.options.TerminationSubscriptions, of: mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType},
		name: "Termination", decode: mp1.DecodeTerminationSubscription}).resources()
}

// resources is the route table of subscriptions.
func (s *subscriptionAPI) resources() []resource {
	if s.kept == nil {
		return nil
	}
	return []resource{
		{subscriptionsPattern, []method{
			{name: "mp1.Get" + s.name + "Subscriptions", verb: http.MethodGet, access: Owner, handle: s.listSubscriptions, lists: true},
			{name: "mp1.Post" + s.name + "Subscription", verb: http.MethodPost, access: Owner, handle: s.subscribe},
		}},
		{subscriptionPattern, []method{
			{name: "mp1.Get" + s.name + "Subscription", verb: http.MethodGet, access: Owner, handle: s.getSubscription},
			{name: "mp1.Delete" + s.name + "Subscription", verb: http.MethodDelete, access: Owner, handle: s.unsubscribe},
		}},
		{webSocketPattern, []method{{name: "mp1.Get" + s.name + "SubscriptionWebSocket", verb: http.MethodGet, access: Owner, handle: s.connect}}},
	}
}

// listSubscriptions lists the subscriptions of an application (§7.2.3.3.1, §8.2.8.3.1).
func (s *subscriptionAPI) listSubscriptions(w http.ResponseWriter, r *http.Request, t target) error {
	all, err := s.kept.SubscriptionsOf(r.Context(), t.app)
	if err != nil {
		return err
	}
	if len(all) == 0 && s.options.NoEmptySubscriptions {
		return errNoSubscriptions
	}
	list := mp1.SubscriptionLinkList{Links: mp1.SubscriptionListLinks{
		Self: mp1.LinkType{Href: subscriptionsHref(t.prefix+s.of.Base(), t.app)}, Subscriptions: []mp1.SubscriptionLink{}}}
	for _, one := range all {
		list.Links.Subscriptions = append(list.Links.Subscriptions,
			mp1.SubscriptionLink{Href: one.Path(t.prefix), SubscriptionType: s.of.SubscriptionType, Rel: s.of.SubscriptionType})
	}
	s.writeJSON(w, http.StatusOK, encodeJSON(list))
	return nil
}

// subscribe makes a subscription (§7.2.3.3.4, §8.2.8.3.4).
func (s *subscriptionAPI) subscribe(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	asked, err := s.decode(body, t.app)
	if err != nil {
		return err
	}
	made, err := s.kept.Subscribe(r.Context(), t.app, t.prefix, asked)
	if err != nil {
		return err
	}
	w.Header().Set("Location", made.Path(t.prefix))
	s.writeSubscription(w, r, http.StatusCreated, made, t.prefix)
	return nil
}

// writeSubscription answers with a subscription and its ETag.
func (s *subscriptionAPI) writeSubscription(w http.ResponseWriter, r *http.Request, status int, one *Subscription, prefix string) {
	body, etag := one.represent(prefix, webSocketOrigin(r), s.options.EdgeGallery)
	w.Header().Set("ETag", etag)
	s.writeJSON(w, status, body)
}

// getSubscription shows a subscription (§7.2.4.3.1, §8.2.9.3.1).
func (s *subscriptionAPI) getSubscription(w http.ResponseWriter, r *http.Request, t target) error {
	one, err := s.kept.Subscription(r.Context(), t.app, t.subscription)
	if err != nil {
		return err
	}
	s.writeSubscription(w, r, http.StatusOK, one, t.prefix)
	return nil
}

// unsubscribe ends a subscription (§7.2.4.3.5, §8.2.9.3.5). Subscriptions never change, so that
// If-Match can be evaluated before.
func (s *subscriptionAPI) unsubscribe(w http.ResponseWriter, r *http.Request, t target) error {
	one, err := s.kept.Subscription(r.Context(), t.app, t.subscription)
	if err != nil {
		return err
	}
	if values := r.Header["If-Match"]; len(values) > 0 {
		if _, etag := one.represent(t.prefix, "", s.options.EdgeGallery); !ifMatch(values, etag) {
			return heartbeat.ErrStale
		}
	}
	if err := s.kept.Unsubscribe(r.Context(), t.app, t.subscription); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// connect opens the WebSocket through which the notifications of a subscription are sent
// (MEC 009 v3.1.1 §6.12a).
func (s *subscriptionAPI) connect(w http.ResponseWriter, r *http.Request, t target) error {
	one, err := s.kept.Subscription(r.Context(), t.app, t.subscription)
	switch {
	case err != nil:
		return err
	case !one.Asked.ByWebSocket():
		return errNoWebSocket
	}
	if err := checkUpgrade(w, r); err != nil {
		return err
	}
	return s.kept.Connect(w, r, t.app, t.subscription)
}
