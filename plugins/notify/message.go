package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

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
	change     mp1.ChangeType
	info       mp1.ServiceInfo // after the change
	size       int             // bytes that the store retains for it
	erased     bool            // from the outbox; belongs to the backlog
	retainedBy atomic.Int32    // queues of this replica that retain it
}

func newMessage(e *plugins.Event, age plugins.Age) (*message, error) {
	info, err := e.Service()
	if err != nil {
		return nil, err
	}
	info.TransportInfo = nil // neither filtered by nor sent, and the largest part
	return &message{at: e.At, made: e.Made, age: age, change: mp1.ChangeType(e.Change.String()), info: info, size: e.Size}, nil
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

// delivery is one POST; it is the same whichever replica attempts it, and however often.
type delivery struct {
	id   string // webhook-id
	url  string
	body []byte
}

// compose makes the POST that notifies a subscription of some events, at least one.
func compose(s *plugins.Subscription, events []*message) delivery {
	n := mp1.Notification{NotificationType: mp1.NotificationType}
	n.Links.Subscription.Href = s.Prefix + mp1.Base + "/applications/" + s.Owner + "/subscriptions/" + s.ID
	for _, m := range events {
		r := mp1.ServiceReference{SerName: m.info.SerName, SerInstanceID: m.info.SerInstanceID, State: m.info.State, ChangeType: m.change}
		if m.change != mp1.Removed {
			r.Link = &mp1.LinkType{Href: s.Prefix + mp1.Base + "/services/" + m.info.SerInstanceID}
		}
		n.ServiceReferences = append(n.ServiceReferences, r)
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
