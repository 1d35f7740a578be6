package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// validService is a description of a service that breaks no rule of MEC 011.
const validService = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t","name":"n",
	"type":"REST_HTTP","protocol":"HTTP","version":"1","endpoint":{"uris":["http://h"]},"security":{}}}`

const (
	transportInfo = "transportInfo"
	transportID   = "transportId"
)

// validateService finds every rule of MEC 011 that a description of a service breaks, so that
// a configuration is mended in one go. Package mp1 stops at the first: each member is
// validated alone, in a service that is otherwise valid, or without it if it is missing.
func validateService(info []byte) []conf.Violation {
	var given, valid map[string]json.RawMessage
	if json.Unmarshal(info, &given) != nil || json.Unmarshal([]byte(validService), &valid) != nil {
		return []conf.Violation{{Rule: "must be a set of keys"}}
	}
	if given[transportInfo] == nil && given[transportID] != nil {
		// it names a transport of the platform's own, which is described there only
		delete(given, transportID)
		given[transportInfo] = valid[transportInfo]
	}
	var all []conf.Violation
	eachMember(given, valid, func(m map[string]json.RawMessage) { all = append(all, validate(m)...) }, transportInfo)
	var transport, validTransport map[string]json.RawMessage
	if json.Unmarshal(given[transportInfo], &transport) == nil && json.Unmarshal(valid[transportInfo], &validTransport) == nil && transport != nil {
		eachMember(transport, validTransport, func(m map[string]json.RawMessage) {
			inner := maps.Clone(valid)
			inner[transportInfo] = marshal(m)
			all = append(all, validate(inner)...)
		}, "")
	} else {
		delete(valid, transportInfo)
		all = append(all, validate(valid)...)
	}
	return all
}

// eachMember calls check with one object for each member of either but skip: the valid one,
// with this member as it was given.
func eachMember(given, valid map[string]json.RawMessage, check func(map[string]json.RawMessage), skip string) {
	names := slices.Sorted(maps.Keys(valid))
	for name := range maps.Keys(given) {
		if valid[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if name == skip {
			continue
		}
		m := maps.Clone(valid)
		if v := given[name]; v != nil {
			m[name] = v
		} else {
			delete(m, name)
		}
		check(m)
	}
}

// validate returns what mp1 has against one object.
func validate(m map[string]json.RawMessage) []conf.Violation {
	_, err := mp1.DecodeServiceInfo(marshal(m))
	var bad *mp1.Invalid
	if errors.As(err, &bad) {
		return []conf.Violation{{Attribute: bad.Attribute, Rule: bad.Rule}}
	}
	return nil
}

// marshal writes members as an object.
func marshal(m map[string]json.RawMessage) []byte {
	b, err := json.Marshal(m)
	if err != nil { // never: its members were JSON before
		return []byte("null")
	}
	return b
}
