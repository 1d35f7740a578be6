package mp1

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Validate holds a description to the rules of a registration (§8.2.6.3.4), before it is
// sent. Its error is Faults with every rule that is broken, or *Invalid if the description
// cannot be written as one JSON document. The rules are those of CheckServiceInfo: any
// TransportID is accepted, and SerInstanceID, IsLocal and Links, which the platform sets,
// are not looked at.
func (i ServiceInfo) Validate() error {
	i.SerInstanceID, i.IsLocal, i.Links = "", nil, nil
	var faults Faults
	checkUTF8(reflect.ValueOf(i), "", &faults)
	i.TransportInfo = i.TransportInfo.withoutBadJSON(&faults)
	body, err := json.Marshal(i)
	if err != nil { // what could fail was taken out
		return &Invalid{"", "must be writable as JSON"}
	}
	if err = CheckServiceInfo(body); len(faults) == 0 {
		return err
	}
	faults.add(err)
	return faults
}

// checkUTF8 refuses strings that encoding/json would change without a word.
func checkUTF8(v reflect.Value, path string, faults *Faults) {
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			faults.add(&Invalid{path, "must be valid UTF-8"})
		}
	case reflect.Pointer:
		if !v.IsNil() {
			checkUTF8(v.Elem(), path, faults)
		}
	case reflect.Slice:
		for n := range v.Len() {
			checkUTF8(v.Index(n), path, faults)
		}
	case reflect.Struct:
		for n := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("json"), ",")
			checkUTF8(v.Field(n), object{path: path}.pathTo(name), faults)
		}
	}
}

// withoutBadJSON returns a copy without those members that are kept as text and are no JSON.
func (t *TransportInfo) withoutBadJSON(faults *Faults) *TransportInfo {
	if t == nil {
		return nil
	}
	out := *t
	out.Security.Extensions = maps.Clone(t.Security.Extensions)
	keep := func(text json.RawMessage, path string) bool {
		if text == nil || json.Valid(text) {
			return true
		}
		faults.add(&Invalid{path, "must be JSON"})
		return false
	}
	if !keep(out.ImplSpecificInfo, "transportInfo.implSpecificInfo") {
		out.ImplSpecificInfo = nil
	}
	if !keep(out.Endpoint.Alternative, "transportInfo.endpoint.alternative") {
		out.Endpoint.Alternative = json.RawMessage("{}")
	}
	for _, name := range slices.Sorted(maps.Keys(out.Security.Extensions)) {
		at := object{path: "transportInfo.security"}
		if isWord(name) {
			at.path = at.pathTo(name)
		}
		if !keep(out.Security.Extensions[name], at.path) {
			delete(out.Security.Extensions, name)
		}
	}
	return &out
}
