package mp1

// ProblemDetails is RFC 9457's, as MEC 009 has it.
type ProblemDetails struct {
	Type     string `json:"type,omitempty"`
	Title    string `json:"title,omitempty"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
}

// Invalid says which attribute of a request broke which rule. It never repeats a value
// that was sent, and of names only words (letters, digits, _ and -, at most 64).
type Invalid struct {
	Attribute string // a path such as transportInfo.endpoint.uris; "" is the whole
	Rule      string
}

func (e *Invalid) Error() string {
	if e.Attribute == "" {
		return e.Rule
	}
	return e.Attribute + ": " + e.Rule
}
