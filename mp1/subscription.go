package mp1

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The values of subscriptionType: each of the two APIs of Mp1 has one.
const (
	SubscriptionType            = "SerAvailabilityNotificationSubscription" // to changes of services
	TerminationSubscriptionType = "AppTerminationNotificationSubscription"  // to the termination of the application itself
)

// Subscription asks for notifications: of changes of services
// (SerAvailabilityNotificationSubscription, §8.1.3.2), or of the termination of an
// application (AppTerminationNotificationSubscription, §7.1.3.2).
type Subscription struct {
	SubscriptionType string `json:"subscriptionType"`
	// CallbackReference is where notifications are sent; "": ByWebSocket.
	CallbackReference string             `json:"callbackReference,omitempty"`
	Links             *SubscriptionLinks `json:"_links,omitempty"` // only in an answer
	// RequestTestNotification asks for a TestNotification to CallbackReference.
	RequestTestNotification bool `json:"requestTestNotification,omitempty"`
	// WebsockNotifConfig asks for a WebSocket, or says where it is; nil: neither.
	WebsockNotifConfig *WebsockNotifConfig `json:"websockNotifConfig,omitempty"`
	// FilteringCriteria says which changes of services are notified. Absent means all.
	FilteringCriteria *FilteringCriteria `json:"filteringCriteria,omitempty"`
	// AppInstanceID is the application whose termination is notified; "" for changes of
	// services.
	AppInstanceID string `json:"appInstanceId,omitempty"`
}

// OfTermination says whether it asks for the termination of an application, and not for
// changes of services.
func (s *Subscription) OfTermination() bool {
	return s.SubscriptionType == TerminationSubscriptionType
}

// Base is the root of the API that it belongs to: either has subscriptions of one type.
func (s *Subscription) Base() string {
	if s.OfTermination() {
		return AppSupportBase
	}
	return Base
}

// SubscriptionLinks are the links of Subscription.
type SubscriptionLinks struct {
	Self LinkType `json:"self"`
}

// FilteringCriteria select changes of services (§8.1.3.2): all criteria that are present
// must match. At most one of the first three is present; an empty array counts as absent.
type FilteringCriteria struct {
	SerInstanceIDs []string      `json:"serInstanceIds,omitempty"`
	SerNames       []string      `json:"serNames,omitempty"`
	SerCategories  []CategoryRef `json:"serCategories,omitempty"`
	States         []State       `json:"states,omitempty"` // of the service after the change
	IsLocal        *bool         `json:"isLocal,omitempty"`
}

// SubscriptionLinkList lists the subscriptions of an application (§6.2.2).
type SubscriptionLinkList struct {
	Links SubscriptionListLinks `json:"_links"`
}

// SubscriptionListLinks are the links of a SubscriptionLinkList.
type SubscriptionListLinks struct {
	Self          LinkType           `json:"self"`
	Subscriptions []SubscriptionLink `json:"subscriptions"`
}

// SubscriptionLink is one entry of a SubscriptionLinkList. Rel has the same value as
// SubscriptionType: it is that member's name in v2.1.1, which EdgeGallery reads.
type SubscriptionLink struct {
	Href             string `json:"href"`
	SubscriptionType string `json:"subscriptionType"`
	Rel              string `json:"rel,omitempty"`
}

// maxCriteria is the most entries of one criterion.
const maxCriteria = 1000

var (
	subscriptionMembers            = []string{"subscriptionType", "callbackReference", "_links", "filteringCriteria", "requestTestNotification", "websockNotifConfig"}
	terminationSubscriptionMembers = []string{"subscriptionType", "callbackReference", "_links", "appInstanceId", "requestTestNotification", "websockNotifConfig"}
	criteriaMembers                = []string{"serInstanceIds", "serNames", "serCategories", "states", "isLocal"}
)

// DecodeSubscription reads the body of a subscription (§8.2.8.3.4). _links is ignored.
// Unknown members are refused in filteringCriteria, and beside it if they were meant to
// narrow the subscription: were they ignored, the application would be told of every
// service. Its errors are *Invalid.
func DecodeSubscription(data []byte) (s Subscription, err error) {
	o, err := readDocument(data)
	if err != nil {
		return s, err
	}
	if err = o.refuseOtherCase(subscriptionMembers...); err != nil {
		return s, err
	}
	if err = o.refuseMisplaced(); err != nil {
		return s, err
	}
	if s.SubscriptionType, err = o.enum("subscriptionType", []string{SubscriptionType}); err != nil {
		return s, o.required("subscriptionType", err)
	}
	if err = decodeDelivery(o, &s); err != nil {
		return s, err
	}
	s.FilteringCriteria, err = decodeCriteria(o)
	return s, err
}

// DecodeTerminationSubscription reads the body of a subscription of an application to its own
// termination (§7.2.3.3.4). _links and unknown members are ignored. Its errors are *Invalid.
func DecodeTerminationSubscription(data []byte, app string) (s Subscription, err error) {
	o, err := readDocument(data)
	if err != nil {
		return s, err
	}
	if err = o.refuseOtherCase(terminationSubscriptionMembers...); err != nil {
		return s, err
	}
	if s.SubscriptionType, err = o.enum("subscriptionType", []string{TerminationSubscriptionType}); err != nil {
		return s, o.required("subscriptionType", err)
	}
	if err = decodeDelivery(o, &s); err != nil {
		return s, err
	}
	if s.AppInstanceID, err = o.requiredText("appInstanceId", maxText); err != nil {
		return s, err
	}
	if s.AppInstanceID != app {
		return s, &Invalid{"appInstanceId", "must be that of the URI: an application subscribes to its own termination"}
	}
	return s, nil
}

// CheckCallback returns an *Invalid unless notifications can be sent to the URI, which must
// be absolute, http or https, without user information and fragment. Whether they may be
// sent to its host is not known here.
func CheckCallback(uri string) error {
	const attribute = "callbackReference"
	u, err := url.Parse(uri)
	switch {
	case err != nil, u.Opaque != "", strings.ContainsAny(uri, " \\"):
		return &Invalid{attribute, "must be an absolute URI"}
	case u.Scheme != "http" && u.Scheme != "https":
		return &Invalid{attribute, "must be an http or https URI"}
	case u.Hostname() == "", strings.HasSuffix(u.Host, ":"):
		return &Invalid{attribute, "must name a host"}
	case u.User != nil:
		return &Invalid{attribute, "must not contain user information"}
	case u.Fragment != "", strings.HasSuffix(uri, "#"):
		return &Invalid{attribute, "must not contain a fragment"}
	case u.Port() != "":
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return &Invalid{attribute, "must have a port from 1 to 65535, or none"}
		}
	}
	return nil
}

func decodeCriteria(o object) (*FilteringCriteria, error) {
	c, err := o.object("filteringCriteria")
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if err := c.refuseUnknown(criteriaMembers...); err != nil {
		return nil, err
	}
	var out FilteringCriteria
	if out.SerInstanceIDs, err = c.criterion("serInstanceIds"); err != nil {
		return nil, err
	}
	if out.SerNames, err = c.criterion("serNames"); err != nil {
		return nil, err
	}
	if out.SerCategories, err = decodeCategories(c); err != nil {
		return nil, err
	}
	present := 0
	for _, n := range []int{len(out.SerInstanceIDs), len(out.SerNames), len(out.SerCategories)} {
		if n > 0 {
			present++
		}
	}
	if present > 1 {
		return nil, &Invalid{c.path, "only one of serInstanceIds, serNames and serCategories may be present"}
	}
	texts, err := c.criterion("states")
	if err != nil {
		return nil, err
	}
	for _, s := range texts {
		if !State(s).Valid() {
			return nil, &Invalid{c.pathTo("states"), "must be of " + strings.Join(states, ", ")}
		}
		out.States = append(out.States, State(s))
	}
	if out.IsLocal, err = c.boolean("isLocal"); err != nil {
		return nil, err
	}
	return &out, nil
}

// criterion reads an optional array of at most maxCriteria strings.
func (o object) criterion(name string) ([]string, error) {
	out, err := o.texts(name, maxText)
	switch {
	case len(out) > maxCriteria:
		return nil, &Invalid{o.pathTo(name), fmt.Sprintf("must not have more than %d entries", maxCriteria)}
	case len(out) == 0:
		return nil, err
	}
	return out, err
}

func decodeCategories(o object) ([]CategoryRef, error) {
	const name = "serCategories"
	l, err := o.list(name)
	if err != nil {
		return nil, err
	}
	if len(l) > maxCriteria {
		return nil, &Invalid{o.pathTo(name), fmt.Sprintf("must not have more than %d entries", maxCriteria)}
	}
	var out []CategoryRef
	for _, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{o.pathTo(name), "must be an array of objects"}
		}
		one := object{path: o.pathTo(name), members: m}
		if err := one.refuseUnknown(categoryMembers...); err != nil {
			return nil, err
		}
		c, err := categoryFrom(one)
		if err != nil {
			return nil, err
		}
		if c.ID == "" { // categories are compared by id: "" would match those without one
			return nil, &Invalid{one.pathTo("id"), "must not be empty"}
		}
		out = append(out, c)
	}
	return out, nil
}

// Match reports whether a change is notified after which the service is i. Categories are
// compared by their id. nil matches everything.
func (c *FilteringCriteria) Match(i *ServiceInfo) bool {
	if c == nil {
		return true
	}
	ofCategory := func(r CategoryRef) bool { return i.SerCategory != nil && i.SerCategory.ID == r.ID }
	return (len(c.SerInstanceIDs) == 0 || slices.Contains(c.SerInstanceIDs, i.SerInstanceID)) &&
		(len(c.SerNames) == 0 || slices.Contains(c.SerNames, i.SerName)) &&
		(len(c.SerCategories) == 0 || slices.ContainsFunc(c.SerCategories, ofCategory)) &&
		(len(c.States) == 0 || slices.Contains(c.States, i.State)) &&
		(c.IsLocal == nil || *c.IsLocal == (i.IsLocal == nil || *i.IsLocal))
}
