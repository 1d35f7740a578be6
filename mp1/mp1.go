// Package mp1 has the data of ETSI GS MEC 011 (reference point Mp1): its types and
// enumerations, what makes a request valid, and what a filter matches. It must not know
// HTTP, the clock, the server behind Mp1 or how a service is kept alive. It needs the
// standard library only.
//
// The names of types and members are the standard's. Clauses (§) are those of v3.1.1,
// unless another version is named.
//
// # Requests and answers
//
// What another party has sent is read with the Decode functions, [CheckLivenessUpdate] and
// [ParseQuery]. They are strict: a body means one thing, whoever reads it, or it is refused
// with an [*Invalid] that names the attribute and the rule, or [Faults], which are all that
// it breaks (docs/adr/0006). Members that MEC 011 does not have are ignored, except where
// they would narrow a filter.
//
// [ServiceInfo.Validate] and [CheckServiceInfo] hold a description to the same rules before
// it is sent.
//
// The types themselves are written with encoding/json, and what the platform itself has
// written is read with it.
//
// # Absence
//
// A nil pointer, a nil slice or "" says that an optional member is absent. What an
// absent member means is said at its field; [ServiceInfo.Completed] fills it in.
//
// # For the platform only
//
// An application needs none of the Decode functions, CheckLivenessUpdate, ParseQuery,
// NoParameters, [ReadStored] or [IDForm]. [SelfLink].Liveness is there for EdgeGallery's
// agents; others read [ServiceLinks].Liveness. [PlainNumbers] is what package mp1/client
// reads answers with.
package mp1

// Base is the root of the service management API.
const Base = "/mec_service_mgmt/v1"

// AppSupportBase is the root of the application support API.
const AppSupportBase = "/mec_app_support/v1"

// LivenessBase is the root of what this platform has beside ETSI's APIs.
const LivenessBase = "/mec_liveness/v1"
