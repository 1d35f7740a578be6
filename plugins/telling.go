package plugins

import "github.com/mec-liveness/mepserver/mp1"

// Telling says how far the notifications of changes of services have got. Of the subscriptions to
// which other replicas send it knows what the store does: what is done with, told or given up, and
// what is pending; and takes what is pending for long for failing.
type Telling interface {
	// Told says who was told of the last change of each of some services, in their order.
	Told(of []Changed) []Told
	// Deliveries are the subscriptions that concern each of some services, in their order and by
	// id, most of them at most in all; nil: so many were before it that it was not looked at.
	Deliveries(of []Changed, most int) [][]Delivery
	// Backlog is how many events are still to be sent, and to how many subscriptions the last
	// attempt failed.
	Backlog() (pending, failing int)
	// Flapping says whether changes of a service are put off because it changes too often, and until
	// when, by the wall clock in Unix nanoseconds.
	Flapping(serInstanceID string) (changes int, until int64, is bool)
}

// Changed is a service as it is since its last change that is told.
type Changed struct {
	Service *mp1.ServiceInfo
	At      int64 // wall clock, Unix nanoseconds
}

// Told counts the subscriptions that concern the last change of a service.
type Told struct {
	Told      int
	Pending   int
	PutOff    int      // they are told later, because the service flaps
	Lost      int      // it was given up, or its consumer is gone
	Elsewhere int      // other replicas send to them, and the store did not say how far they are
	Failing   []string // ids of those that are pending because attempts fail; MaxFailing at most
	Uncounted bool     // there are too many to look at: nothing of the above is known
}

// MaxFailing is the most ids of Told.Failing.
const MaxFailing = 20

// Delivery is how far a subscription has got with the last change of a service.
type Delivery struct {
	ID, Owner string
	Elsewhere bool // another replica sends to it; nothing of its attempts is known
	Delivered bool
	Pending   bool
	PutOff    bool // it is pending, and told later because the service flaps
	// LastAttempt is of whatever was sent to the subscription, by the wall clock; 0: nothing
	// was. LastError is how it failed, a word of a fixed set; "": it did not.
	LastAttempt int64
	LastError   string
}
