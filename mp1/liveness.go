package mp1

import "bytes"

// ServiceLivenessInfo is what the platform knows of the heartbeats of a service (§8.1.2.4).
type ServiceLivenessInfo struct {
	State     State     `json:"state"`
	TimeStamp TimeStamp `json:"timeStamp"` // when the platform last received a heartbeat
	Interval  int       `json:"interval"`  // seconds
	// Reason says to people why the service is in its state: an extension of ours.
	Reason string `json:"reason,omitempty"`
}

// ServiceLivenessUpdate is the body of a heartbeat (§8.1.2.5). State is always ACTIVE.
type ServiceLivenessUpdate struct {
	State State `json:"state"`
}

// TimeStamp is a time as seconds since 1970, UTC. nanoSeconds is spelt as MEC 011 has it.
type TimeStamp struct {
	Seconds     uint32 `json:"seconds"`
	NanoSeconds uint32 `json:"nanoSeconds"`
}

// beatForms are the two bodies that nearly every heartbeat has, as tokens. They are
// recognised without parsing, because heartbeats are most of what a platform reads. JSON
// allows meaningless whitespace between tokens (RFC 8259 §2), so a body of exactly these
// tokens is one that the strict reader accepts too.
var beatForms = [][]string{
	{"{", `"state"`, ":", `"ACTIVE"`, "}"},
	{"{", `"ServiceLivenessUpdate"`, ":", "{", `"state"`, ":", `"ACTIVE"`, "}", "}"},
}

// matchesTokens reports whether data is these tokens and whitespace.
func matchesTokens(tokens []string, data []byte) bool {
	const whitespace = " \t\r\n"
	for _, t := range tokens {
		data = bytes.TrimLeft(data, whitespace)
		if len(data) < len(t) || string(data[:len(t)]) != t {
			return false
		}
		data = data[len(t):]
	}
	return len(bytes.TrimLeft(data, whitespace)) == 0
}

// CheckLivenessUpdate checks the body of a heartbeat (§8.1.2.5): {"state":"ACTIVE"}, or the
// same inside a member ServiceLivenessUpdate, as ETSI's OpenAPI document has it. Its errors
// are *Invalid.
func CheckLivenessUpdate(data []byte) error {
	for _, tokens := range beatForms {
		if matchesTokens(tokens, data) {
			return nil
		}
	}
	return parseLivenessUpdate(data)
}

func parseLivenessUpdate(data []byte) error {
	o, err := readDocument(data)
	if err != nil {
		return err
	}
	if err := o.refuseOtherCase(livenessMembers...); err != nil {
		return err
	}
	inner, err := o.object("ServiceLivenessUpdate")
	switch {
	case err == nil:
		if err := inner.refuseOtherCase("state"); err != nil {
			return err
		}
		if err := requireActive(inner); err != nil {
			return err
		}
		if o.members["state"] == nil {
			return nil
		}
	case ignoreAbsent(err) != nil:
		return err
	}
	return requireActive(o)
}

func requireActive(o object) error {
	state, err := o.text("state", maxText)
	if err != nil {
		return o.required("state", err)
	}
	if state != string(Active) {
		return &Invalid{o.pathTo("state"), "must be ACTIVE: a heartbeat says nothing else"}
	}
	return nil
}
