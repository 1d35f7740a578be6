package edgegallery

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// serviceInfo is a ServiceInfo as the original writes it: with almost every key, empty or
// not, and without a link to itself.
type serviceInfo struct {
	ID                string    `json:"serInstanceId,omitempty"`
	Name              string    `json:"serName"`
	Category          category  `json:"serCategory"`
	Version           string    `json:"version"`
	State             string    `json:"state"`
	TransportID       string    `json:"transportId"`
	Transport         transport `json:"transportInfo"`
	Serializer        string    `json:"serializer"`
	ScopeOfLocality   string    `json:"scopeOfLocality"`
	ConsumedLocalOnly bool      `json:"consumedLocalOnly,omitempty"`
	IsLocal           bool      `json:"isLocal,omitempty"`
	LivenessInterval  int       `json:"livenessInterval"`
	Links             links     `json:"_links"`
}

type category struct {
	Href    string `json:"href"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

type transport struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Type        string   `json:"type"`
	Protocol    string   `json:"protocol"`
	Version     string   `json:"version"`
	Endpoint    endpoint `json:"endpoint"`
	Security    security `json:"security"`
	Specific    any      `json:"implSpecificInfo,omitempty"`
}

type endpoint struct {
	URIs        []string  `json:"uris"`
	Addresses   []address `json:"addresses"`
	Alternative any       `json:"alternative"`
}

type address struct {
	Host string `json:"host"`
	Port uint32 `json:"port"`
}

type security struct {
	OAuth2 struct {
		GrantTypes    []string `json:"grantTypes"`
		TokenEndpoint string   `json:"tokenEndpoint"`
	} `json:"oAuth2Info"`
}

type links struct {
	Self struct {
		Liveness string `json:"liveness,omitempty"`
	} `json:"self"`
	App string `json:"appInstanceId"`
}

// instance is a registration.
type instance struct {
	app     string
	info    serviceInfo // as it was sent, with the id
	gateway []string    // the gateway's URLs, in place of the endpoints
	beats   int
	beatAt  time.Time // of the registration, an update or a heartbeat
}

var (
	nameForm = regexp.MustCompile(`^([a-zA-Z0-9]*|[a-zA-Z0-9][a-zA-Z0-9_-]*[a-zA-Z0-9])$`)
	idForm   = regexp.MustCompile(`^[a-zA-Z0-9-]*$`)
)

var errParam = errors.New("request param validation failed")

// decode reads a body as the original does: members that are not there are zero, unknown
// ones are ignored, and three have defaults.
func decode(body []byte) (s serviceInfo, err error) {
	s.ConsumedLocalOnly, s.IsLocal, s.ScopeOfLocality = true, true, "MEC_HOST"
	if err := json.Unmarshal(body, &s); err != nil {
		return s, err
	}
	return s, s.validate()
}

// validate holds a body to the original's rules. Most members may be empty.
func (s serviceInfo) validate() error {
	t := s.Transport
	for _, ok := range []bool{
		s.Name != "" && len(s.Name) <= 128 && nameForm.MatchString(s.Name),
		s.Version != "" && len(s.Version) <= 32,
		oneOf(s.State, "ACTIVE", "INACTIVE"),
		oneOf(s.Serializer, "JSON", "XML", "PROTOBUF3"),
		oneOf(s.ScopeOfLocality, "", "MEC_SYSTEM", "MEC_HOST", "NFVI_POP", "ZONE", "ZONE_GROUP", "NFVI_NODE"),
		oneOf(t.Type, "", "REST_HTTP", "MB_TOPIC_BASED", "MB_ROUTING", "MB_PUBSUB", "RPC", "RPC_STREAMING", "WEBSOCKET"),
		isID(s.TransportID), isID(s.Category.ID), isID(t.ID), isName(s.Category.Name), isName(t.Name),
		len(t.Description) <= 128, len(t.Protocol) <= 32, len(t.Version) <= 32, len(s.Category.Version) <= 32,
		s.LivenessInterval >= 0 && s.LivenessInterval <= 2147483646,
	} {
		if !ok {
			return errParam
		}
	}
	for _, u := range t.Endpoint.URIs {
		if !strings.Contains(u, ":") {
			return errParam
		}
	}
	grants := t.Security.OAuth2.GrantTypes
	if grants != nil && (len(grants) == 0 || len(grants) > 4) {
		return errParam
	}
	for _, g := range grants {
		if !oneOf(g, "OAUTH2_AUTHORIZATION_CODE", "OAUTH2_IMPLICIT_GRANT", "OAUTH2_RESOURCE_OWNER", "OAUTH2_CLIENT_CREDENTIALS") {
			return errParam
		}
	}
	return nil
}

func oneOf(s string, values ...string) bool { return slices.Contains(values, s) }
func isID(s string) bool                    { return len(s) <= 64 && idForm.MatchString(s) }
func isName(s string) bool                  { return len(s) <= 128 && nameForm.MatchString(s) }
