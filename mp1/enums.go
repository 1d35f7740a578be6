package mp1

import "slices"

// State is ServiceState (§8.1.6.6).
type State string

// The states of a service.
const (
	Active    State = "ACTIVE"
	Inactive  State = "INACTIVE"
	Suspended State = "SUSPENDED"
)

// States lists every state of a service.
var States = [...]State{Active, Inactive, Suspended}

// Serializer is SerializerType (§8.1.6.3): JSON, XML or PROTOBUF3.
type Serializer string

// Locality is LocalityType (§8.1.6.5): MEC_SYSTEM, MEC_HOST, NFVI_POP, ZONE, ZONE_GROUP or
// NFVI_NODE.
type Locality string

// TransportType is how a transport works (§8.1.6.4): REST_HTTP, MB_TOPIC_BASED, MB_ROUTING,
// MB_PUBSUB, RPC, RPC_STREAMING or WEBSOCKET.
type TransportType string

// DefaultLocality is what an absent scopeOfLocality means.
const DefaultLocality Locality = "MEC_HOST"

var (
	states         = []string{string(Active), string(Inactive), string(Suspended)}
	serializers    = []string{"JSON", "XML", "PROTOBUF3"}
	localities     = []string{"MEC_SYSTEM", "MEC_HOST", "NFVI_POP", "ZONE", "ZONE_GROUP", "NFVI_NODE"}
	transportTypes = []string{"REST_HTTP", "MB_TOPIC_BASED", "MB_ROUTING", "MB_PUBSUB", "RPC", "RPC_STREAMING", "WEBSOCKET"}
	grantTypes     = []string{"OAUTH2_AUTHORIZATION_CODE", "OAUTH2_IMPLICIT_GRANT", "OAUTH2_RESOURCE_OWNER", "OAUTH2_CLIENT_CREDENTIALS"}
)

// Valid reports whether MEC 011 has this state.
func (s State) Valid() bool { return slices.Contains(states, string(s)) }

// Valid reports whether MEC 011 has this serializer.
func (s Serializer) Valid() bool { return slices.Contains(serializers, string(s)) }

// Valid reports whether MEC 011 has this locality.
func (l Locality) Valid() bool { return slices.Contains(localities, string(l)) }

// Valid reports whether MEC 011 has this type of transport.
func (t TransportType) Valid() bool { return slices.Contains(transportTypes, string(t)) }
