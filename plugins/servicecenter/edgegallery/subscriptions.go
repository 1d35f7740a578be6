package edgegallery

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// subscription is what an application asked for. What it has as its type and its application is
// not looked at there: the path that it was sent to says both.
type subscription struct {
	CallbackReference string         `json:"callbackReference"`
	FilteringCriteria map[string]any `json:"filteringCriteria"`
}

// prefix is the path below which EdgeGallery's applications reach the platform.
const prefix = "/mep"

func (c *converter) availability(rest string, kv *mvccpb.KeyValue) error {
	var v subscription
	app, id, err := readSubscription(rest, kv, &v)
	if err != nil {
		return err
	}
	body := map[string]any{"subscriptionType": mp1.SubscriptionType, "callbackReference": v.CallbackReference}
	criteria := v.criteria()
	if len(criteria) > 0 {
		body["filteringCriteria"] = criteria
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	asked, err := mp1.DecodeSubscription(text)
	if err != nil {
		return fmt.Errorf("cannot be asked for here: %w", err)
	}
	if len(v.FilteringCriteria) > len(criteria) && v.several() {
		c.note("subscription %s of application %s has several criteria of which one is to match: it is notified of all services", id, app)
	}
	c.Subscriptions = append(c.Subscriptions, plugins.Subscription{ID: id, Owner: app, Prefix: prefix, Asked: asked, Since: c.now.UnixNano()})
	c.Report.Availability++
	return nil
}

func (c *converter) termination(rest string, kv *mvccpb.KeyValue) error {
	var v subscription
	app, id, err := readSubscription(rest, kv, &v)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"subscriptionType": mp1.TerminationSubscriptionType, "callbackReference": v.CallbackReference, "appInstanceId": app})
	if err != nil {
		return err
	}
	asked, err := mp1.DecodeTerminationSubscription(text, app)
	if err != nil {
		return fmt.Errorf("cannot be asked for here: %w", err)
	}
	c.Subscriptions = append(c.Subscriptions, plugins.Subscription{ID: id, Owner: app, Prefix: prefix, Asked: asked, Since: c.now.UnixNano()})
	c.Report.Terminations++
	return nil
}

func readSubscription(rest string, kv *mvccpb.KeyValue, to *subscription) (app, id string, err error) {
	app, id, _ = strings.Cut(rest, "/")
	if !mp1.ValidID(app) || !mp1.ValidID(id) {
		return "", "", errors.New("names no application and subscription")
	}
	if err := json.Unmarshal(kv.Value, to); err != nil {
		return "", "", fmt.Errorf("cannot be read: %w", err)
	}
	return app, id, nil
}

// exclusive are the criteria of which MEC 011 lets a subscription have one (§8.1.3.2).
var exclusive = []string{"serInstanceIds", "serNames", "serCategories"}

// criteria are those that say something. Of several exclusive ones, EdgeGallery's mepserver
// notifies where any matches. A subscription here has one: it has none then, for a consumer that
// hears of more does not miss what it waits for.
func (s *subscription) criteria() map[string]any {
	out := map[string]any{}
	for name, v := range s.FilteringCriteria {
		if l, is := v.([]any); v != nil && (!is || len(l) > 0) {
			out[name] = v
		}
	}
	if s.several() {
		for _, name := range exclusive {
			delete(out, name)
		}
	}
	return out
}

func (s *subscription) several() bool {
	n := 0
	for _, name := range exclusive {
		if l, _ := s.FilteringCriteria[name].([]any); len(l) > 0 { //nolint:errcheck // no assertion: nil is an answer
			n++
		}
	}
	return n > 1
}
