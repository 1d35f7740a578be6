package events

import (
	"encoding/json"
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// item is a service as the stream shows it. It is never changed, and shared by all readers. Of the
// services that a start lists it has what the engine has of them, until somebody looks.
type item struct {
	of *plugins.Event // that tells of it; its attributes may be left out once they were read

	described atomic.Pointer[description]
	body      atomic.Pointer[[]byte] // in a reset, encoded when it is needed first
}

// description is what is kept of a service's description: what filters look at, and the name. There is
// one for every change in the ring.
type description struct {
	name                       string
	category                   *mp1.CategoryRef
	scope                      mp1.Locality
	consumedLocalOnly, isLocal bool
}

// listedItem is a service of a list. Its attributes are read when somebody looks at it.
func listedItem(e *plugins.Event) *item { return &item{of: e} }

// itemOf is the service after an event. The error says that its attributes cannot be read.
func itemOf(e *plugins.Event) (*item, error) {
	d, err := describe(e)
	if err != nil {
		return nil, err
	}
	known := *e
	known.Attributes = "" // it has them in d
	it := &item{of: &known}
	it.described.Store(d)
	return it, nil
}

// describe reads what is kept of a service's description.
func describe(e *plugins.Event) (*description, error) {
	i, err := e.Service()
	if err != nil {
		return nil, err
	}
	return &description{name: i.SerName, category: i.SerCategory, scope: i.ScopeOfLocality, consumedLocalOnly: *i.ConsumedLocalOnly, isLocal: *i.IsLocal}, nil
}

// description is how the service is described; nil: its attributes cannot be read, and nobody is
// shown it.
func (it *item) description() *description {
	if d := it.described.Load(); d != nil {
		return d
	}
	d, err := describe(it.of)
	if err != nil {
		return nil
	}
	it.described.Store(d)
	return d
}

// selectedBy says whether a filter selects the service, described as d says.
func (it *item) selectedBy(f *mp1.Filter, d *description) bool {
	return f.Match(&mp1.ServiceInfo{SerInstanceID: string(it.of.ID), SerName: d.name, SerCategory: d.category, State: it.state(),
		ScopeOfLocality: d.scope, ConsumedLocalOnly: &d.consumedLocalOnly, IsLocal: &d.isLocal})
}

// state is the state that it is in; "": it is not known.
func (it *item) state() mp1.State {
	if it.of.State == heartbeat.None {
		return ""
	}
	return mp1.State(it.of.State.String())
}

// name is how it is called.
func (it *item) name() string {
	if d := it.description(); d != nil {
		return d.name
	}
	return ""
}

// in is the same service in another state.
func (it *item) in(s heartbeat.State) *item {
	of := *it.of
	of.State, of.Cause = s, heartbeat.Cause{}
	other := &item{of: &of}
	other.described.Store(it.description()) // nil: as before
	return other
}

// json is the service in a reset.
func (it *item) json() []byte {
	if b := it.body.Load(); b != nil {
		return *b
	}
	s := mp1.ServiceStatus{SerInstanceID: string(it.of.ID), SerName: it.name(), AppInstanceID: it.of.Owner, State: it.state()}
	cause := it.of.Why()
	s.Reason, s.Cause = shownCause(&cause)
	b := encode(s)
	it.body.Store(&b)
	return b
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
