package mp1

import "encoding/json"

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
