// Package mp1 speaks ETSI GS MEC 011 (reference point Mp1): its types, its enums,
// and which of them are valid. It must not know HTTP, the clock, the server behind
// it or how a service is kept alive.
//
// Clauses are those of v3.1.1.
package mp1

// Base is the root of the service management API.
const Base = "/mec_service_mgmt/v1"
