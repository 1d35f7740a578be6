package mp1

import (
	"cmp"
	"encoding/json"
	"strings"
)

// ServiceInfo describes a service instance (§8.1.2.2).
type ServiceInfo struct {
	SerInstanceID     string         `json:"serInstanceId,omitempty"` // the platform assigns it
	SerName           string         `json:"serName"`
	SerCategory       *CategoryRef   `json:"serCategory,omitempty"`
	Version           string         `json:"version"`
	State             State          `json:"state"`
	TransportID       string         `json:"transportId,omitempty"` // only in a request
	TransportInfo     *TransportInfo `json:"transportInfo,omitempty"`
	Serializer        Serializer     `json:"serializer"`
	ScopeOfLocality   Locality       `json:"scopeOfLocality,omitempty"`
	ConsumedLocalOnly *bool          `json:"consumedLocalOnly,omitempty"` // absent means true
	// IsLocal is set by the platform, in answers, and is ignored in a request (NOTE 4).
	// Filters and subscriptions can ask for it. Absent means true.
	IsLocal *bool `json:"isLocal,omitempty"`
	// LivenessInterval is in seconds. In a request, absent means that the application sends
	// no heartbeats, 0 that the platform chooses the interval, and any other number is a
	// proposal. In an answer it is present exactly when the platform requires heartbeats.
	LivenessInterval *int          `json:"livenessInterval,omitempty"`
	Links            *ServiceLinks `json:"_links,omitempty"` // only in an answer
}

// Scope is its scopeOfLocality, also where that is left out.
func (i *ServiceInfo) Scope() Locality { return cmp.Or(i.ScopeOfLocality, DefaultLocality) }

// CategoryRef refers to a category of services (§8.1.5.2). All members are mandatory.
type CategoryRef struct {
	Href    string `json:"href"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Label is what a category is called among people: its name, or its id; "" of none.
func (c *CategoryRef) Label() string {
	if c == nil {
		return ""
	}
	return cmp.Or(c.Name, c.ID)
}

// LinkType is a link (§6.3.2).
type LinkType struct {
	Href string `json:"href"`
}

// SelfLink is the link of a ServiceInfo to itself. Liveness is not in MEC 011: it is where
// EdgeGallery's agent looks for the address of heartbeats, which must start with /mep/.
type SelfLink struct {
	Href     string `json:"href"`
	Liveness string `json:"liveness,omitempty"`
}

// ServiceLinks are the links of ServiceInfo.
type ServiceLinks struct {
	Self SelfLink `json:"self"`
	// Liveness is where heartbeats go. It is present exactly when they are required.
	Liveness *LinkType `json:"liveness,omitempty"`
}

// Completed returns i as it stands in an answer: members that are absent have the values
// that their absence means, and IsLocal is true. It is true for everybody who asks, because
// there is one locality, that of the platform at which the service is registered.
func (i ServiceInfo) Completed() ServiceInfo {
	yes := true
	i.IsLocal = &yes
	i.ScopeOfLocality = i.Scope()
	if i.ConsumedLocalOnly == nil {
		i.ConsumedLocalOnly = &yes
	}
	return i
}

// Copied returns i with strings of its own, and without what only those need who use the service:
// its transport and its links.
func (i ServiceInfo) Copied() ServiceInfo {
	i.SerInstanceID, i.SerName, i.Version, i.State = strings.Clone(i.SerInstanceID), strings.Clone(i.SerName), strings.Clone(i.Version), State(strings.Clone(string(i.State)))
	i.Serializer, i.ScopeOfLocality = Serializer(strings.Clone(string(i.Serializer))), Locality(strings.Clone(string(i.ScopeOfLocality)))
	if c := i.SerCategory; c != nil {
		i.SerCategory = &CategoryRef{Href: strings.Clone(c.Href), ID: strings.Clone(c.ID), Name: strings.Clone(c.Name), Version: strings.Clone(c.Version)}
	}
	i.TransportID, i.TransportInfo, i.Links = "", nil, nil
	return i
}

// ReadStored reads a ServiceInfo that the platform itself has written, and completes it.
// What is stored cannot be returned as it is: earlier releases stored the IsLocal that the
// application had sent. Its strings may be parts of the text, all of which is kept with any of them:
// what is kept for longer than the text is Copied.
func ReadStored(text string) (ServiceInfo, error) {
	if i, ok := readWritten(text); ok {
		return i.Completed(), nil
	}
	var i ServiceInfo
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		return ServiceInfo{}, err
	}
	return i.Completed(), nil
}
