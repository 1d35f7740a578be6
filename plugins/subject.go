package plugins

import "github.com/mec-liveness/mepserver/mp1"

// Subject is what an event is about, as subscriptions select it: a service as it is after its
// change, or an application that is being terminated.
type Subject struct {
	Service    *mp1.ServiceInfo // nil: the event is of a termination
	Terminated string           // appInstanceId of who is being terminated
}

// Subject is what the event is about. The error says that its attributes cannot be read.
func (e *Event) Subject() (s Subject, err error) {
	if e.Termination != nil {
		return Subject{Terminated: e.Owner}, nil
	}
	i, err := mp1.ReadStored(e.Attributes)
	if err != nil {
		return s, err
	}
	i.SerInstanceID, i.State = string(e.ID), mp1.State(e.State.String())
	return Subject{Service: &i}, nil
}

// AskedBy says whether a subscription asks for events of the subject.
func (s Subject) AskedBy(asked *mp1.Subscription) bool {
	if s.Service == nil {
		return asked.OfTermination() && asked.AppInstanceID == s.Terminated
	}
	return !asked.OfTermination() && asked.FilteringCriteria.Match(s.Service)
}
