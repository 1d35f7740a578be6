package mp1

// EventsPath is the event stream: every change of every service, as server-sent events.
const EventsPath = LivenessBase + "/events"

// ChangesPath is what happened lately: the newest changes, as far as the replica that answers keeps
// them.
const ChangesPath = LivenessBase + "/changes"

// EventStreamType is its media type.
const EventStreamType = "text/event-stream"

// The types of events of the stream. The id of each is its revision, and a stream goes on behind
// the id that is sent as Last-Event-ID.
const (
	ChangeEvent = "change" // data is a ServiceChange
	ResetEvent  = "reset"  // data is a ServiceReset
	PingEvent   = "ping"   // data is a ServicePing
)

// ServiceChange is one change of one service, as who reads the stream sees it: a service that
// comes to match his filter is ADDED, and one that no longer does is REMOVED.
type ServiceChange struct {
	Revision      int64      `json:"revision"`
	Time          string     `json:"time"` // RFC 3339, with nanoseconds
	SerInstanceID string     `json:"serInstanceId"`
	SerName       string     `json:"serName"`
	AppInstanceID string     `json:"appInstanceId"`
	Category      string     `json:"category,omitempty"` // its name, or its id
	Locality      Locality   `json:"locality,omitempty"`
	Change        ChangeType `json:"change"`           // AttributesChanged is also another reason for the same state
	From          State      `json:"from,omitempty"`   // absent of what is ADDED, or if it is not known any more
	To            State      `json:"to,omitempty"`     // absent of what is REMOVED
	Reason        string     `json:"reason,omitempty"` // the cause, for people
	Cause         *Cause     `json:"cause,omitempty"`
	// Filter says that the service was neither registered nor removed, but changed so that it
	// matches the filter of the stream now (entered), or no longer does (left).
	Filter string `json:"filter,omitempty"`
	// Flapping says that subscribers are not told of it at once.
	Flapping *Flapping `json:"flapping,omitempty"`
}

// Flapping is a service that changes too often: subscribers are told later, and only of the newest.
type Flapping struct {
	Changes int    `json:"changes"` // since it began to flap
	Until   string `json:"until"`   // what is put off is told then; RFC 3339
}

// The values of ServiceChange.Filter.
const (
	FilterEntered = "entered"
	FilterLeft    = "left"
)

// ServiceChanges are the changes of the last hour, or since a time, the oldest first.
type ServiceChanges struct {
	Now      string          `json:"now"`
	Revision int64           `json:"revision"` // the id behind which the event stream goes on
	From     string          `json:"from"`     // since then nothing is missing, but for Left
	Left     int             `json:"left"`     // how many older ones were left out
	Changes  []ServiceChange `json:"changes"`
}

// ServiceReset is everything that the stream shows, at a revision: what was known before is to be
// forgotten. The changes behind it follow.
type ServiceReset struct {
	Revision int64           `json:"revision"`
	Services []ServiceStatus `json:"services"`
}

// ServiceStatus is one service of a ServiceReset.
type ServiceStatus struct {
	SerInstanceID string `json:"serInstanceId"`
	SerName       string `json:"serName"`
	AppInstanceID string `json:"appInstanceId"`
	State         State  `json:"state"`
	Reason        string `json:"reason,omitempty"` // the cause, for people
	Cause         *Cause `json:"cause,omitempty"`
}

// ServicePing says that there was no other change up to a revision, and that the stream lives.
type ServicePing struct {
	Revision int64  `json:"revision"`
	Time     string `json:"time"`
}
