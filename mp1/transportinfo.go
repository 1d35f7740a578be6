package mp1

import "encoding/json"

// TransportInfo says how a service is used (§8.1.2.3).
type TransportInfo struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Type        TransportType `json:"type"`
	Protocol    string        `json:"protocol"`
	Version     string        `json:"version"`
	Endpoint    EndPointInfo  `json:"endpoint"`
	Security    SecurityInfo  `json:"security"`
	// ImplSpecificInfo is an object that only applications understand. It is kept as text,
	// because its numbers need not fit Go's.
	ImplSpecificInfo json.RawMessage `json:"implSpecificInfo,omitempty"`
}

// EndPointInfo says where a service is reached (§8.1.5.3). Exactly one member is present;
// an empty array counts as present, so that only nil is left out of the JSON.
type EndPointInfo struct {
	URIs        []string        `json:"uris,omitzero"`
	FQDN        []string        `json:"fqdn,omitzero"`
	Addresses   []Address       `json:"addresses,omitzero"`
	Alternative json.RawMessage `json:"alternative,omitempty"`
}

// Address is one of the addresses of an EndPointInfo.
type Address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// SecurityInfo says how the access to a service is secured (§8.1.5.4). The standard leaves
// it open to extensions, which are returned as they were sent.
type SecurityInfo struct {
	OAuth2Info *OAuth2Info                `json:"oAuth2Info"`
	Extensions map[string]json.RawMessage `json:"-"`
}

const oauthMember = "oAuth2Info"

// MarshalJSON implements json.Marshaler: OAuth2Info stands beside the extensions.
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

// UnmarshalJSON implements json.Unmarshaler for what the platform itself has written.
// Requests are read with DecodeServiceInfo.
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

// OAuth2Info says how a token for a service is obtained (§8.1.5.4).
type OAuth2Info struct {
	GrantTypes    []string `json:"grantTypes,omitempty"`
	TokenEndpoint string   `json:"tokenEndpoint,omitempty"`
}

// DefaultTransports returns the transports that the platform offers (§8.2.5). The second
// is the first under the id with which ETSI's conformance suite for v3.2.1 registers.
func DefaultTransports() []TransportInfo {
	rest := TransportInfo{ID: "rest-http", Name: "REST", Description: "REST over HTTP, at the application's own endpoint", Type: "REST_HTTP",
		Protocol: "HTTP", Version: "2.0", Endpoint: EndPointInfo{Alternative: json.RawMessage("{}")}}
	suite := rest
	suite.ID = "transportId"
	return []TransportInfo{rest, suite}
}

// TransportByID returns the transport that the platform offers under an id.
func TransportByID(id string) (TransportInfo, bool) {
	for _, t := range DefaultTransports() {
		if t.ID == id {
			return t, true
		}
	}
	return TransportInfo{}, false
}
