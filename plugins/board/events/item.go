package events

import (
	"encoding/json"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// item is a service as the stream shows it. It is never changed, and shared by all readers.
type item struct {
	owner string
	info  mp1.ServiceInfo // what filters look at, and the name; nothing else
	cause mp1.Cause       // of its state

	once sync.Once
	body []byte // in a reset, encoded when it is needed first
}

// itemOf is the service after an event. The error says that its attributes cannot be read.
func itemOf(e *plugins.Event) (*item, error) {
	i, err := e.Service()
	if err != nil {
		return nil, err
	}
	return &item{owner: e.Owner, cause: e.Why(), info: mp1.ServiceInfo{SerInstanceID: i.SerInstanceID, SerName: i.SerName, SerCategory: i.SerCategory, State: i.State,
		ScopeOfLocality: i.ScopeOfLocality, ConsumedLocalOnly: i.ConsumedLocalOnly, IsLocal: i.IsLocal}}, nil
}

// in is the same service in another state.
func (it *item) in(s heartbeat.State) *item {
	other := &item{owner: it.owner, info: it.info}
	other.info.State = ""
	if s != heartbeat.None {
		other.info.State = mp1.State(s.String())
	}
	return other
}

// json is the service in a reset.
func (it *item) json() []byte {
	it.once.Do(func() {
		s := mp1.ServiceStatus{SerInstanceID: it.info.SerInstanceID, SerName: it.info.SerName, AppInstanceID: it.owner, State: it.info.State}
		s.Reason, s.Cause = shownCause(&it.cause)
		it.body = encode(s)
	})
	return it.body
}

// shownCause is a cause as it is shown: a sentence for people, and its members. One that was not
// kept is not shown.
func shownCause(c *mp1.Cause) (reason string, cause *mp1.Cause) {
	if c.Kind == "" {
		return "", nil
	}
	return c.Sentence(), c
}

// encode is plain data as JSON, which has no line break.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // plain data: cannot happen
		return []byte("{}")
	}
	return b
}
