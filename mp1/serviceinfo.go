package mp1

import "encoding/json"

// ServiceInfo describes a service instance (§8.1.2.2).
type ServiceInfo struct {
	SerInstanceID     string         `json:"serInstanceId,omitempty"` // assigned by the platform
	SerName           string         `json:"serName"`
	SerCategory       *CategoryRef   `json:"serCategory,omitempty"`
	Version           string         `json:"version"`
	State             State          `json:"state"`
	TransportID       string         `json:"transportId,omitempty"` // only in a request
	TransportInfo     *TransportInfo `json:"transportInfo,omitempty"`
	Serializer        Serializer     `json:"serializer"`
	ScopeOfLocality   Locality       `json:"scopeOfLocality,omitempty"`
	ConsumedLocalOnly *bool          `json:"consumedLocalOnly,omitempty"` // absent means true
	// IsLocal is the platform's to say (NOTE 4): it counts in answers and in what selects
	// services, and is ignored in a request. Absent means true.
	IsLocal *bool `json:"isLocal,omitempty"`
	// LivenessInterval in seconds. In a request: absent, the application sends no
	// heartbeats; 0, the platform chooses; else a proposal. In an answer: present
	// exactly when the platform requires heartbeats.
	LivenessInterval *int          `json:"livenessInterval,omitempty"`
	Links            *ServiceLinks `json:"_links,omitempty"` // only in an answer
}

// CategoryRef is §8.1.5.2; all of it is mandatory.
type CategoryRef struct {
	Href    string `json:"href"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// LinkType is §6.3.2's link.
type LinkType struct {
	Href string `json:"href"`
}

// SelfLink is ServiceInfo's own link. Liveness is not ETSI's: EdgeGallery's agent
// reads only this plain string, which always starts with /mep/.
type SelfLink struct {
	Href     string `json:"href"`
	Liveness string `json:"liveness,omitempty"`
}

// ServiceLinks are the links of ServiceInfo.
type ServiceLinks struct {
	Self SelfLink `json:"self"`
	// Liveness is where the heartbeats go; present exactly when they are required.
	Liveness *LinkType `json:"liveness,omitempty"`
}

// Completed fills in what an absent member means, and what the platform has to say, for
// an answer. isLocal is true for whoever asks: there is one locality, that of the
// platform at which the service is registered.
func (i ServiceInfo) Completed() ServiceInfo {
	yes := true
	i.IsLocal = &yes
	if i.ScopeOfLocality == "" {
		i.ScopeOfLocality = DefaultLocality
	}
	if i.ConsumedLocalOnly == nil {
		i.ConsumedLocalOnly = &yes
	}
	return i
}

// ReadStored reads a ServiceInfo that the platform itself has written, with what the
// platform has to say of it: releases before stored what the application had said.
func ReadStored(text string) (ServiceInfo, error) {
	var i ServiceInfo
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		return ServiceInfo{}, err
	}
	return i.Completed(), nil
}
