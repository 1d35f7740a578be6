package mp1

// ProblemDetails is the body of every answer that refuses (RFC 9457, as ETSI GS MEC 009
// has it).
type ProblemDetails struct {
	Type     string `json:"type,omitempty"`
	Title    string `json:"title,omitempty"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
}

// DrainedType is the type of the refusal of what the owner of a service sends while an
// administrator has drained it.
const DrainedType = "urn:mec-liveness:drained"

// LimitType is the type of a refusal because somebody has as many services, subscriptions
// or registrations as they may, whatever its status. That of every other problem of our
// platform is about:blank, which says no more than the status.
const LimitType = "urn:mec-liveness:limit"

// Invalid is the error of a request that breaks a rule. It never repeats a value that was
// sent, which could be a secret; it repeats the name of an unknown member only if that is
// one word.
type Invalid struct {
	Attribute string // a path such as transportInfo.endpoint.uris; "" is the whole body
	Rule      string // for people; follows the path and a colon
}

// Error implements error.
func (e *Invalid) Error() string {
	if e.Attribute == "" {
		return e.Rule
	}
	return e.Attribute + ": " + e.Rule
}
