// Package mp1 speaks ETSI GS MEC 011 (reference point Mp1): its types, its enums,
// and which of them are valid. It must not know HTTP, the clock, the server behind
// it or how a service is kept alive.
//
// Clauses are those of v3.1.1.
package mp1

import "encoding/json"

// Base is the root of the service management API.
const Base = "/mec_service_mgmt/v1"

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

// TransportInfo is §8.1.2.3.
type TransportInfo struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Type        TransportType `json:"type"`
	Protocol    string        `json:"protocol"`
	Version     string        `json:"version"`
	Endpoint    EndPointInfo  `json:"endpoint"`
	Security    SecurityInfo  `json:"security"`
	// ImplSpecificInfo is an object that only the application understands: it is
	// kept as text, for its numbers need not fit Go's.
	ImplSpecificInfo json.RawMessage `json:"implSpecificInfo,omitempty"`
}

// EndPointInfo is §8.1.5.3: one of its members. An empty array is one too (minItems
// 0), so that only absent ones are left out.
type EndPointInfo struct {
	URIs        []string        `json:"uris,omitzero"`
	FQDN        []string        `json:"fqdn,omitzero"`
	Addresses   []Address       `json:"addresses,omitzero"`
	Alternative json.RawMessage `json:"alternative,omitempty"`
}

// Address is one of EndPointInfo's addresses.
type Address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// SecurityInfo is §8.1.5.4. The standard leaves it open to extensions; they are
// given back as they came.
type SecurityInfo struct {
	OAuth2Info *OAuth2Info
	Extensions map[string]json.RawMessage
}

const oauthMember = "oAuth2Info"

// MarshalJSON writes OAuth2Info beside the extensions.
func (s SecurityInfo) MarshalJSON() ([]byte, error) {
	members := make(map[string]any, len(s.Extensions)+1)
	for name, v := range s.Extensions {
		members[name] = v
	}
	delete(members, oauthMember)
	if s.OAuth2Info != nil {
		members[oauthMember] = s.OAuth2Info
	}
	return json.Marshal(members)
}

// UnmarshalJSON is its inverse, for what the platform itself has written; requests
// are read by DecodeServiceInfo.
func (s *SecurityInfo) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*s = SecurityInfo{}
	if info, ok := members[oauthMember]; ok {
		if err := json.Unmarshal(info, &s.OAuth2Info); err != nil {
			return err
		}
		delete(members, oauthMember)
	}
	if len(members) > 0 {
		s.Extensions = members
	}
	return nil
}

// OAuth2Info is part of SecurityInfo.
type OAuth2Info struct {
	GrantTypes    []string `json:"grantTypes,omitempty"`
	TokenEndpoint string   `json:"tokenEndpoint,omitempty"`
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

// ServiceLivenessInfo is §8.1.2.4.
type ServiceLivenessInfo struct {
	State     State     `json:"state"`
	TimeStamp TimeStamp `json:"timeStamp"` // when the platform last received a heartbeat
	Interval  int       `json:"interval"`  // seconds
}

// ServiceLivenessUpdate is §8.1.2.5, the body of a heartbeat; State is ACTIVE.
type ServiceLivenessUpdate struct {
	State State `json:"state"`
}

// TimeStamp is Unix time, UTC; the spelling of nanoSeconds is the published one.
type TimeStamp struct {
	Seconds     uint32 `json:"seconds"`
	NanoSeconds uint32 `json:"nanoSeconds"`
}

// ProblemDetails is RFC 9457's, as MEC 009 has it.
type ProblemDetails struct {
	Type     string `json:"type,omitempty"`
	Title    string `json:"title,omitempty"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
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

// DefaultTransports are those that the platform offers (§8.2.5): the first of its
// own; the second under the id that the conformance suite of v3.2.1 registers with.
func DefaultTransports() []TransportInfo {
	rest := TransportInfo{ID: "rest-http", Name: "REST", Description: "REST over HTTP, at the application's own endpoint", Type: "REST_HTTP",
		Protocol: "HTTP", Version: "2.0", Endpoint: EndPointInfo{Alternative: json.RawMessage("{}")}}
	suite := rest
	suite.ID = "transportId"
	return []TransportInfo{rest, suite}
}

// TransportByID finds one of the platform's transports.
func TransportByID(id string) (TransportInfo, bool) {
	for _, t := range DefaultTransports() {
		if t.ID == id {
			return t, true
		}
	}
	return TransportInfo{}, false
}
