package state

import "github.com/mec-liveness/mepserver/mp1"

// answer is a page of the state.
type answer struct {
	Now      string    `json:"now"`
	Revision int64     `json:"revision"` // of the store: everything up to it is in here
	Replica  string    `json:"replica"`  // that answers
	Platform platform  `json:"platform"`
	Counts   counts    `json:"counts"`
	Services []Service `json:"services"`
	Next     string    `json:"next,omitempty"` // after, for the next page; absent: this is the last
}

type platform struct {
	Version       string        `json:"version"`
	StartedAt     string        `json:"startedAt"`
	Replicas      []replica     `json:"replicas"`
	Store         store         `json:"store"`
	Expiry        expiry        `json:"expiry"`
	Load          load          `json:"load"`
	Notifications notifications `json:"notifications"`
}

type replica struct {
	ID   string `json:"id"`
	Self bool   `json:"self,omitempty"`
}

type store struct {
	Kind       string `json:"kind"` // embedded or cluster
	Ready      bool   `json:"ready"`
	UsedBytes  int64  `json:"usedBytes,omitempty"`
	QuotaBytes int64  `json:"quotaBytes,omitempty"`
	Full       bool   `json:"full"`
}

// expiry says whether deaths or removals are held back at this replica.
type expiry struct {
	Held   bool   `json:"held"`
	Reason string `json:"reason,omitempty"`
	Since  string `json:"since,omitempty"`
	Until  string `json:"until,omitempty"`
}

type load struct {
	HeartbeatsPerMinute float64 `json:"heartbeatsPerMinute"` // that came to this replica
	ExpectedPerMinute   float64 `json:"expectedPerMinute"`   // of all services, at all replicas
}

// notifications are those of all subscriptions, as far as this replica knows them.
type notifications struct {
	Pending              int `json:"pending"`
	FailingSubscriptions int `json:"failingSubscriptions"`
}

// counts are those of all services, whatever the query selects.
type counts struct {
	Active          int `json:"ACTIVE"`
	Suspended       int `json:"SUSPENDED"`
	Inactive        int `json:"INACTIVE"`
	Late            int `json:"late"`
	Drained         int `json:"drained"`
	WithoutLiveness int `json:"withoutLiveness"`
	Total           int `json:"total"`
}

// Service is a service as it is now.
type Service struct {
	SerInstanceID string   `json:"serInstanceId"`
	SerName       string   `json:"serName"`
	Version       string   `json:"version"`
	AppInstanceID string   `json:"appInstanceId"`
	AppName       string   `json:"appName,omitempty"`
	Category      string   `json:"category,omitempty"`
	Locality      string   `json:"locality"`
	Endpoints     []string `json:"endpoints"`
	State         string   `json:"state"`
	Since         string   `json:"since"`
	// Reason is why it is in its state, for people, and Cause the same for programs.
	Reason  string    `json:"reason"`
	Cause   mp1.Cause `json:"cause"`
	Drained bool      `json:"drained"`
	Late    bool      `json:"late"`

	LivenessInterval int    `json:"livenessInterval,omitempty"` // seconds, as WindowSeconds; absent: no heartbeats are required
	WindowSeconds    int    `json:"windowSeconds,omitempty"`
	LastHeartbeat    string `json:"lastHeartbeat,omitempty"`
	// LastHeartbeatExact says that there was no later one; else it may have come to another
	// replica, or before this start.
	LastHeartbeatExact *bool  `json:"lastHeartbeatExact,omitempty"`
	Deadline           string `json:"deadline,omitempty"`
	// Estimated says that Deadline, Missed and Late are by the age of the lease in the store, to a
	// second: another replica hears the service.
	Estimated bool `json:"estimated,omitempty"`
	Missed    *int `json:"missed,omitempty"`
	Flaps     int  `json:"flaps"`
	// Flapping says that subscribers are told later of its changes.
	Flapping    *mp1.Flapping `json:"flapping,omitempty"`
	GapsSeconds []float64     `json:"gapsSeconds"`

	// Notified says who was told of its last change; nil: too many are concerned to count them.
	Notified *notified `json:"notified,omitempty"`
	// Subscriptions are those that its last change concerns, if they were asked for and looked at.
	Subscriptions *[]delivery `json:"subscriptions,omitempty"`
	Links         links       `json:"links"`
	ServiceComb   serviceComb `json:"serviceComb"`
}

// notified counts the subscriptions that the last change of a service concerns.
type notified struct {
	Told      int      `json:"told"`
	Pending   int      `json:"pending"`
	PutOff    int      `json:"putOff,omitempty"` // they are told later, because the service flaps
	Lost      int      `json:"lost,omitempty"`
	Elsewhere int      `json:"elsewhere,omitempty"` // to which other replicas send, and nobody knows
	Failing   []string `json:"failing"`             // of those that are pending
}

// delivery is how far a subscription has got with the last change of a service.
type delivery struct {
	ID            string `json:"id"`
	AppInstanceID string `json:"appInstanceId"`
	Delivered     bool   `json:"delivered"`
	Pending       bool   `json:"pending"`
	PutOff        bool   `json:"putOff,omitempty"`    // it is told later, because the service flaps
	Elsewhere     bool   `json:"elsewhere,omitempty"` // another replica sends to it, and knows of its attempts
	LastAttempt   string `json:"lastAttempt,omitempty"`
	LastError     string `json:"lastError,omitempty"`
}

type links struct {
	Liveness string `json:"liveness,omitempty"`
	Drain    string `json:"drain"`
}

// serviceComb is what ServiceComb calls the service.
type serviceComb struct {
	ServiceID  string `json:"serviceId"`
	InstanceID string `json:"instanceId"`
}

// Detail is a service with how it came to its state.
type Detail struct {
	Service
	Transitions   []Transition `json:"transitions"`            // since this replica's start, the oldest first
	Subscriptions []delivery   `json:"subscriptions,omitzero"` // nil: they were not looked at
}

// Transition is a change of state.
type Transition struct {
	Time   string `json:"time"`
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason,omitempty"`
}
