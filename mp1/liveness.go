package mp1

import "bytes"

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

// usualBeats are the two bodies that a heartbeat may have, token by token. Between
// tokens JSON allows whitespace that means nothing (RFC 8259 §2), so a body of
// exactly these tokens is one that the strict reader accepts too.
var beatForms = [][]string{
	{"{", `"state"`, ":", `"ACTIVE"`, "}"},
	{"{", `"ServiceLivenessUpdate"`, ":", "{", `"state"`, ":", `"ACTIVE"`, "}", "}"},
}

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

// CheckLivenessUpdate reads the body of a heartbeat (§8.1.2.5): {"state":"ACTIVE"}, or
// the same inside ServiceLivenessUpdate as the published OpenAPI has it. Its errors
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
