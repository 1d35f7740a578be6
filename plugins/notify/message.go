package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// message is an event as it is sent to consumers. It is shared by all queues, and what is
// sent of it never changes.
type message struct {
	at         heartbeat.Revision
	made       int64 // wall clock, Unix nanoseconds
	age        plugins.Age
	until      plugins.Instant // telling it is put off until then, because its instance flaps; 0: it is not
	putOff     time.Duration   // for how long it is
	change     mp1.ChangeType
	info       mp1.ServiceInfo      // after the change
	terminated string               // the application that is being terminated
	terminate  *plugins.Termination // its termination; nil: it is a change of a service
	size       int                  // bytes that the store retains for it
	erased     bool                 // from the outbox; belongs to the backlog
	retainedBy atomic.Int32         // queues of this replica that retain it
}

func newMessage(e *plugins.Event, age plugins.Age) (*message, error) {
	if e.Termination != nil {
		return &message{at: e.At, made: e.Made, age: age, terminated: e.Owner, terminate: e.Termination, size: e.Size}, nil
	}
	info, err := e.Service()
	if err != nil {
		return nil, err
	}
	return &message{at: e.At, made: e.Made, age: age, change: mp1.ChangeType(e.Change.String()), info: info, size: e.Size}, nil
}

// subject is what subscriptions select the message by.
func (m *message) subject() plugins.Subject {
	if m.terminate != nil {
		return plugins.Subject{Terminated: m.terminated}
	}
	return plugins.Subject{Service: &m.info}
}

// instance is the serInstanceId; "" of a termination. Of the events of one instance, the
// newest may be sent in place of the others.
func (m *message) instance() string { return m.info.SerInstanceID }

// waits is for how long the message has been waiting to be told, which it does not while it is put off.
func (m *message) waits(now plugins.Instant) time.Duration {
	return max(m.age.At(now)-m.putOff, 0)
}

// hostOf is the host and port of a subscription's consumer. All that cannot be parsed share
// the host "".
func hostOf(s *plugins.Subscription) string {
	u, err := url.Parse(s.Asked.CallbackReference)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// hrefOf is the link of a subscription.
func hrefOf(s *plugins.Subscription) string { return applicationHref(s) + "/subscriptions/" + s.ID }

// applicationHref is where the API of a subscription has what belongs to its application.
func applicationHref(s *plugins.Subscription) string {
	return s.Prefix + s.Asked.Base() + "/applications/" + s.Owner
}

// delivery is one POST; it is the same whichever replica attempts it, and however often.
type delivery struct {
	id   string // webhook-id
	url  string
	body []byte
}

// compose makes the POST that notifies a subscription of some events, at least one.
func compose(s *plugins.Subscription, events []*message) delivery {
	subscription := mp1.LinkType{Href: hrefOf(s)}
	var n any
	if t := events[0].terminate; t != nil {
		n = mp1.TerminationNotification{NotificationType: mp1.TerminationNotificationType, OperationAction: t.Action, MaxGracefulTimeout: t.Timeout,
			Links: mp1.TerminationLinks{Subscription: subscription, ConfirmTermination: mp1.LinkType{Href: applicationHref(s) + "/confirm_termination"}}}
	} else {
		n = mp1.Notification{NotificationType: mp1.NotificationType, Links: mp1.NotificationLinks{Subscription: subscription}, ServiceReferences: references(s.Prefix, events)}
	}
	body, err := json.Marshal(n)
	if err != nil { // plain data: cannot happen
		body = []byte("{}")
	}
	last := events[len(events)-1]
	// Without the time, events of a store that was restored from a backup would have ids
	// that were used before, for revisions repeat there.
	return delivery{id: fmt.Sprintf("%s-%x-%d-%d", s.ID, last.made, events[0].at, last.at), url: s.Asked.CallbackReference, body: body}
}

// references are changes of services as they are told.
func references(prefix string, events []*message) (out []mp1.ServiceReference) {
	for _, m := range events {
		i := &m.info
		r := mp1.ServiceReference{SerName: i.SerName, SerInstanceID: i.SerInstanceID, State: i.State, ChangeType: m.change}
		if m.change != mp1.Removed {
			r.Link = &mp1.LinkType{Href: prefix + mp1.Base + "/services/" + i.SerInstanceID}
		}
		out = append(out, r)
	}
	return out
}
