package mp1

import (
	"fmt"
	"strconv"
	"strings"
)

// HeartbeatsPath takes heartbeats of many services at once. It is no resource of MEC 011.
const HeartbeatsPath = LivenessBase + "/heartbeats"

// MaxHeartbeats is how many heartbeats one request may carry.
const MaxHeartbeats = 1000

// HeartbeatOf is the heartbeat of one service among many.
type HeartbeatOf struct {
	AppInstanceID string `json:"appInstanceId"`
	SerInstanceID string `json:"serInstanceId"`
}

// Heartbeats is the body of a request at HeartbeatsPath.
type Heartbeats struct {
	Heartbeats []HeartbeatOf `json:"heartbeats"`
}

// HeartbeatResult is what a PATCH of the liveness resource would have been answered.
type HeartbeatResult struct {
	SerInstanceID string `json:"serInstanceId"`
	Status        int    `json:"status"`             // of HTTP
	Interval      int    `json:"interval,omitempty"` // seconds, from now on; of a 200 only
	Type          string `json:"type,omitempty"`     // of its ProblemDetails, if that has one
	Detail        string `json:"detail,omitempty"`   // of a refusal, as in its ProblemDetails
}

// HeartbeatResults is the answer, in the order of the request.
type HeartbeatResults struct {
	Results []HeartbeatResult `json:"results"`
}

// DecodeHeartbeats reads a Heartbeats. Ids may have any form: each is judged by itself. Its
// errors are *Invalid. The list may take the place of what is in room, nil if there is none: who
// reads many bodies uses it again.
func DecodeHeartbeats(data []byte, room []HeartbeatOf) ([]HeartbeatOf, error) {
	if beats, ok := scanHeartbeats(string(data), room); ok {
		return beats, nil
	}
	return parseHeartbeats(data)
}

func parseHeartbeats(data []byte) ([]HeartbeatOf, error) {
	o, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	if err := o.refuseOtherCase("heartbeats"); err != nil {
		return nil, err
	}
	list, err := o.list("heartbeats")
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, &Invalid{"heartbeats", "is mandatory, and must not be empty"}
	case len(list) > MaxHeartbeats:
		return nil, &Invalid{"heartbeats", fmt.Sprintf("must not have more than %d elements", MaxHeartbeats)}
	}
	out := make([]HeartbeatOf, len(list))
	for i, v := range list {
		path := "heartbeats[" + strconv.Itoa(i) + "]"
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{path, "must be an object"}
		}
		one := object{path: path, members: m}
		if err := one.refuseOtherCase("appInstanceId", "serInstanceId"); err != nil {
			return nil, err
		}
		if out[i].AppInstanceID, err = one.anyText("appInstanceId"); err != nil {
			return nil, err
		}
		if out[i].SerInstanceID, err = one.anyText("serInstanceId"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// anyText reads a mandatory string of any form.
func (o object) anyText(name string) (string, error) {
	v, err := o.member(name)
	if err != nil {
		return "", o.required(name, err)
	}
	s, ok := v.(string)
	if !ok {
		return "", &Invalid{o.pathTo(name), "must be a string"}
	}
	return s, nil
}

// heartbeatScan recognises the body that nearly every request has, without parsing: the members
// that are asked for and no others, in either order, and strings of printable ASCII without
// escapes. A body of exactly these tokens is one that the strict reader accepts too. The strings
// are parts of the body.
type heartbeatScan struct{ rest string }

func scanHeartbeats(body string, room []HeartbeatOf) (out []HeartbeatOf, ok bool) {
	s := heartbeatScan{body}
	if !s.token("{") || !s.token(`"heartbeats"`) || !s.token(":") || !s.token("[") {
		return nil, false
	}
	out = room[:0]
	if most := min(len(body)/minHeartbeat+1, MaxHeartbeats); cap(out) < most {
		out = make([]HeartbeatOf, 0, most)
	}
	for {
		one, ok := s.heartbeat()
		if !ok || len(out) == MaxHeartbeats {
			return nil, false
		}
		out = append(out, one)
		if s.token("]") {
			return out, s.token("}") && s.end()
		}
		if !s.token(",") {
			return nil, false
		}
	}
}

// minHeartbeat is about the length of the shortest element.
const minHeartbeat = len(`{"appInstanceId":"a","serInstanceId":"b"}`)

func (s *heartbeatScan) heartbeat() (h HeartbeatOf, ok bool) {
	if !s.token("{") {
		return h, false
	}
	var app, ser bool
	for range 2 {
		if app || ser {
			if !s.token(",") {
				return h, false
			}
		}
		switch {
		case !app && s.token(`"appInstanceId"`):
			h.AppInstanceID, app = s.value()
			ok = app
		case !ser && s.token(`"serInstanceId"`):
			h.SerInstanceID, ser = s.value()
			ok = ser
		default:
			return h, false
		}
		if !ok {
			return h, false
		}
	}
	return h, s.token("}")
}

// value reads a colon and a string.
func (s *heartbeatScan) value() (string, bool) {
	if !s.token(":") || !s.token(`"`) {
		return "", false
	}
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			v := s.rest[:i]
			s.rest = s.rest[i+1:]
			return v, true
		case c < 0x20 || c > 0x7e || c == '\\':
			return "", false
		}
	}
	return "", false
}

// token reads whitespace and a token.
func (s *heartbeatScan) token(t string) bool {
	s.space()
	if !strings.HasPrefix(s.rest, t) {
		return false
	}
	s.rest = s.rest[len(t):]
	return true
}

func (s *heartbeatScan) space() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case ' ', '\t', '\r', '\n':
			s.rest = s.rest[1:]
		default:
			return
		}
	}
}

func (s *heartbeatScan) end() bool {
	s.space()
	return s.rest == ""
}
