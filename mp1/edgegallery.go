package mp1

import (
	"encoding/json"
	"slices"
)

// CompleteRegistration completes a registration that was written for EdgeGallery's platform,
// so that it keeps the rules of MEC 011. That platform takes null, "" or nothing for almost
// every member, for its types have no absence. What is completed:
//   - without a transport (neither transportInfo nor the id of one that this platform
//     offers): the first of DefaultTransports, under the id that was given
//   - what CompleteUpdate does
//
// What cannot be read as one JSON object is returned as it is: to refuse it is the
// business of the decoder.
func CompleteRegistration(data []byte) []byte { return completed(data, object.completeTransport) }

// CompleteUpdate completes an update as CompleteRegistration does, but for a transport, of
// which none means that the stored one stays:
//   - livenessInterval 0 means that there are no heartbeats, as absent does
//   - a serCategory and a transportInfo of which a part is given: the other texts are "",
//     and the type of a transport is REST_HTTP, the only one that EdgeGallery has
//   - an endpoint without anything: one that only the application knows (alternative)
//   - an endpoint of several kinds: the first of uris, addresses and alternative counts
//   - an address without host and port is left out, and so is an implSpecificInfo that is no
//     object
func CompleteUpdate(data []byte) []byte { return completed(data, object.forgetUnknownTransport) }

// TransportIDOf is the transportId of a registration or update, "" if it has none that can be
// kept. MEC 011 has it in requests only, where transportInfo wins over it; EdgeGallery's
// applications write a label of their own there, and find it in the answers.
func TransportIDOf(data []byte) string {
	o, err := readDocument(data)
	if err != nil {
		return ""
	}
	id, err := o.text("transportId", maxText)
	if err != nil {
		return ""
	}
	return id
}

func completed(data []byte, transport func(object)) []byte {
	o, err := readDocument(data)
	if err != nil {
		return data
	}
	if n, ok := o.members["livenessInterval"].(json.Number); ok {
		if i, ok := wholeNumber(string(n), 1); ok && i == 0 {
			delete(o.members, "livenessInterval")
		}
	}
	if c, err := o.nonEmptyObject("serCategory"); err == nil {
		c.fill(categoryMembers...)
	}
	if t, err := o.nonEmptyObject("transportInfo"); err == nil {
		t.fill("id", "name", "protocol", "version")
		if t.members["type"] == nil || t.members["type"] == "" {
			t.members["type"] = defaultTransportType
		}
		if _, ok := t.members["implSpecificInfo"].(map[string]any); !ok { // it is not kept there
			delete(t.members, "implSpecificInfo")
		}
		t.completeEndpoint()
	} else {
		transport(o)
	}
	out, err := json.Marshal(o.members)
	if err != nil { // it was JSON before
		return data
	}
	return out
}

const defaultTransportType = "REST_HTTP"

// fill sets members that are absent or null to "".
func (o object) fill(names ...string) {
	for _, name := range names {
		if o.members[name] == nil {
			o.members[name] = ""
		}
	}
}

// forgetUnknownTransport removes a transportId that this platform does not offer:
// EdgeGallery's platform does not look at it.
func (o object) forgetUnknownTransport() {
	if id, ok := o.members["transportId"].(string); ok {
		if _, known := TransportByID(id); !known {
			delete(o.members, "transportId")
		}
	}
}

// completeTransport gives a registration without a transport the platform's own.
func (o object) completeTransport() {
	id, isText := o.members["transportId"].(string)
	if o.members["transportId"] != nil && !isText || o.members["transportInfo"] != nil && !isEmpty(o.members["transportInfo"]) {
		return // of another type, which is refused
	}
	if _, known := TransportByID(id); known {
		return
	}
	t := DefaultTransports()[0]
	t.ID, t.Description = id, ""
	delete(o.members, "transportId")
	o.members["transportInfo"] = t
}

// completeEndpoint makes the endpoint of a transport one of exactly one kind.
func (o object) completeEndpoint() {
	e, err := o.nonEmptyObject("endpoint")
	if err != nil {
		if v := o.members["endpoint"]; v == nil || isEmpty(v) {
			o.members["endpoint"] = map[string]any{"alternative": map[string]any{}}
		}
		return
	}
	if l, ok := e.members["addresses"].([]any); ok {
		e.members["addresses"] = slices.DeleteFunc(l, isEmptyAddress)
	}
	given := false
	for _, kind := range []string{"uris", "addresses", "alternative"} {
		if given {
			delete(e.members, kind)
		}
		given = given || !isEmpty(e.members[kind])
	}
	if isEmpty(e.members) {
		o.members["endpoint"] = map[string]any{"alternative": map[string]any{}}
	}
}

// isEmptyAddress reports whether a value is an address without host and port.
func isEmptyAddress(v any) bool {
	a, ok := v.(map[string]any)
	if !ok {
		return v == nil
	}
	n, isNumber := a["port"].(json.Number)
	port, whole := wholeNumber(string(n), 1)
	return isEmpty(a["host"]) && (a["port"] == nil || isNumber && whole && port == 0)
}
