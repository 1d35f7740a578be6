package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// sample is a service that MEC 011 has nothing against.
const sample = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t","name":"n",
	"type":"REST_HTTP","protocol":"HTTP","version":"1","endpoint":{"uris":["http://h"]},"security":{}}}`

const (
	transportInfo = "transportInfo"
	transportID   = "transportId"
)

// judge finds everything that MEC 011 has against a service. mp1 stops at the first
// fault, so each member is judged alone, in a service that is otherwise right; what
// is missing is taken out of it.
func judge(info []byte) []conf.Wrong {
	var given, right map[string]json.RawMessage
	if json.Unmarshal(info, &given) != nil || json.Unmarshal([]byte(sample), &right) != nil {
		return []conf.Wrong{{Rule: "must be a set of keys"}}
	}
	if given[transportInfo] == nil && given[transportID] != nil {
		// a transport of the platform's own, which only it knows
		delete(given, transportID)
		given[transportInfo] = right[transportInfo]
	}
	var all []conf.Wrong
	judgeMembers(given, right, func(m map[string]json.RawMessage) { all = append(all, decode(m)...) }, transportInfo)
	var transport, rightTransport map[string]json.RawMessage
	if json.Unmarshal(given[transportInfo], &transport) == nil && json.Unmarshal(right[transportInfo], &rightTransport) == nil && transport != nil {
		judgeMembers(transport, rightTransport, func(m map[string]json.RawMessage) {
			inner := maps.Clone(right)
			inner[transportInfo] = encode(m)
			all = append(all, decode(inner)...)
		}, "")
	} else {
		delete(right, transportInfo)
		all = append(all, decode(right)...)
	}
	return all
}

// judgeMembers hands out one object for each member: the right one, with this member
// as it was given.
func judgeMembers(given, right map[string]json.RawMessage, look func(map[string]json.RawMessage), but string) {
	names := slices.Sorted(maps.Keys(right))
	for name := range maps.Keys(given) {
		if right[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if name == but {
			continue
		}
		m := maps.Clone(right)
		if v := given[name]; v != nil {
			m[name] = v
		} else {
			delete(m, name)
		}
		look(m)
	}
}

func decode(m map[string]json.RawMessage) []conf.Wrong {
	_, err := mp1.DecodeServiceInfo(encode(m))
	var bad *mp1.Invalid
	if errors.As(err, &bad) {
		return []conf.Wrong{{Attribute: bad.Attribute, Rule: bad.Rule}}
	}
	return nil
}

func encode(m map[string]json.RawMessage) []byte {
	b, err := json.Marshal(m)
	if err != nil { // it was JSON before
		return []byte("null")
	}
	return b
}
