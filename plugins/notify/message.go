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

// message is an event as consumers are told of it. What is told is never changed.
type message struct {
	at         heartbeat.Revision
	made       int64 // wall clock, Unix nanoseconds
	age        plugins.Age
	change     mp1.ChangeType
	info       mp1.ServiceInfo // after the change
	size       int             // bytes that the store keeps for it
	erased     bool            // the backlog's
	retainedBy atomic.Int32    // queues that keep it
}

func newMessage(e *plugins.Event, age plugins.Age) (*message, error) {
	info, err := e.Service()
	if err != nil {
		return nil, err
	}
	info.TransportInfo = nil // neither filtered by nor told, and the largest part
	return &message{at: e.At, made: e.Made, age: age, change: mp1.ChangeType(e.Change.String()), info: info, size: e.Size}, nil
}

// hostOf is the host and port of a subscription's consumer. What cannot be parsed shares
// the host "".
func hostOf(s *plugins.Subscription) string {
	u, err := url.Parse(s.Asked.CallbackReference)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// delivery is one POST, the same whoever attempts it and how often.
type delivery struct {
	id   string // webhook-id
	url  string
	body []byte
}

// compose makes the POST that tells a subscription of some events, at least one.
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
	// The time is in it because a store that was restored uses revisions again.
	return delivery{id: fmt.Sprintf("%s-%x-%d-%d", s.ID, last.made, events[0].at, last.at), url: s.Asked.CallbackReference, body: body}
}
