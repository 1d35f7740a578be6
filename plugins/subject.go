package plugins

import "github.com/mec-liveness/mepserver/mp1"

// Subject is what an event is about, as subscriptions select it: a service as it is after its
// change, or an application that is being terminated. Nobody asks for the zero value.
type Subject struct {
	Service    *mp1.ServiceInfo // nil: the event is of a termination
	Terminated string           // appInstanceId of who is being terminated
}

// Service is the service after the change, as filters see it, of an event that is not of a
// termination, without its transport. The error says that its attributes cannot be read.
func (e *Event) Service() (i mp1.ServiceInfo, err error) {
	if i, err = mp1.ReadStored(e.Attributes); err != nil {
		return i, err
	}
	i = i.Copied() // the attributes are longer, and it may be kept
	i.SerInstanceID, i.State = string(e.ID), mp1.State(e.State.String())
	return i, nil
}

// Subject is what the event is about. The error is that of Service.
func (e *Event) Subject() (Subject, error) {
	if e.Termination != nil {
		return Subject{Terminated: e.Owner}, nil
	}
	i, err := e.Service()
	if err != nil {
		return Subject{}, err
	}
	return Subject{Service: &i}, nil
}

// AskedBy says whether a subscription asks for events of the subject.
func (s Subject) AskedBy(asked *mp1.Subscription) bool {
	if s.Service == nil {
		return asked.OfTermination() && asked.AppInstanceID == s.Terminated
	}
	return !asked.OfTermination() && asked.FilteringCriteria.Match(s.Service)
}
