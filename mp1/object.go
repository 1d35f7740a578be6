package mp1

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a JSON object that a type is decoded from. Its methods read one member each;
// their errors are *Invalid with the member's path, or errAbsent.
type object struct {
	path    string // of the object; "" is the body
	members map[string]any
}

// errAbsent says that a member is absent, or null.
var errAbsent = errors.New("absent")

// pathTo is the path of a member.
func (o object) pathTo(name string) string { return strings.TrimPrefix(o.path+"."+name, ".") }

// refuseOtherCase refuses members that differ from one of the names only in case: other
// readers would take them for it.
func (o object) refuseOtherCase(names ...string) error {
	var faults Faults
	for _, name := range names { // of a list, not of the map, so that faults have one order
		for member := range o.members {
			if member != name && strings.EqualFold(member, name) {
				faults.add(&Invalid{o.pathTo(name), "the name must be written exactly so"})
				break
			}
		}
	}
	return faults.err()
}

// member returns a member; its error is errAbsent.
func (o object) member(name string) (any, error) {
	if v := o.members[name]; v != nil {
		return v, nil
	}
	return nil, errAbsent
}

// required turns errAbsent into the fault of a mandatory member.
func (o object) required(name string, err error) error {
	if errors.Is(err, errAbsent) {
		return &Invalid{o.pathTo(name), "is mandatory"}
	}
	return err
}

// text reads a string of at most so many characters, none of them a control character.
func (o object) text(name string, most int) (string, error) {
	v, err := o.member(name)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", &Invalid{o.pathTo(name), "must be a string"}
	}
	return s, checkText(o.pathTo(name), s, most)
}

// checkText refuses what text refuses.
func checkText(path, s string, most int) error {
	if utf8.RuneCountInString(s) > most {
		return &Invalid{path, fmt.Sprintf("must not be longer than %d characters", most)}
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return &Invalid{path, "must not contain control characters"}
		}
	}
	return nil
}

// requiredText reads a mandatory string that is not empty.
func (o object) requiredText(name string, most int) (string, error) {
	s, err := o.text(name, most)
	if err == nil && s == "" {
		err = &Invalid{o.pathTo(name), "must not be empty"}
	}
	return s, o.required(name, err)
}

// optionalEnum reads an optional enumeration. "" counts as absent: clients whose types
// have no absence send it.
func (o object) optionalEnum(name string, values []string) (string, error) {
	if o.members[name] == "" {
		return "", nil
	}
	s, err := o.enum(name, values)
	return s, ignoreAbsent(err)
}

// enum reads a string that must be one of the values.
func (o object) enum(name string, values []string) (string, error) {
	s, err := o.text(name, maxText)
	if err == nil && !slices.Contains(values, s) {
		err = &Invalid{o.pathTo(name), "must be one of " + strings.Join(values, ", ")}
	}
	return s, err
}

// boolean reads an optional boolean.
func (o object) boolean(name string) (*bool, error) {
	v, err := o.member(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	b, ok := v.(bool)
	if !ok {
		return nil, &Invalid{o.pathTo(name), "must be true or false"}
	}
	return &b, nil
}

// nonNegative reads an optional whole number as wholeNumber does.
func (o object) nonNegative(name string, most int) (*int, error) {
	v, err := o.member(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if n, ok := v.(json.Number); ok {
		if i, ok := wholeNumber(string(n), most); ok {
			return &i, nil
		}
	}
	return nil, &Invalid{o.pathTo(name), "must be a whole number, 0 or greater"}
}

// nonEmptyObject reads an object. One in which everything is empty counts as absent:
// clients whose types have no absence, such as EdgeGallery's agent, send it.
func (o object) nonEmptyObject(name string) (object, error) {
	v, err := o.object(name)
	if err == nil && isEmpty(v.members) {
		return object{}, errAbsent
	}
	return v, err
}

// isEmpty reports whether a value is null, "", or an array or object of nothing else.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !isEmpty(e) })
	case map[string]any:
		for _, e := range v {
			if !isEmpty(e) {
				return false
			}
		}
		return true
	}
	return false
}

// object reads an object.
func (o object) object(name string) (object, error) {
	v, err := o.member(name)
	if err != nil {
		return object{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return object{}, &Invalid{o.pathTo(name), "must be an object"}
	}
	return object{path: o.pathTo(name), members: m}, nil
}

// rawObject reads an optional object of which only its sender knows the members, as text.
func (o object) rawObject(name string) (json.RawMessage, error) {
	v, err := o.object(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	return rawValue(v.path, v.members)
}

// rawOthers reads all members beside a known one, as text.
func (o object) rawOthers(than string) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	for name, v := range o.members {
		if name == than {
			continue
		}
		at := o.path
		if isWord(name) {
			at = o.pathTo(name)
		}
		b, err := rawValue(at, v)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		out[name] = b
	}
	return out, nil
}

// rawValue is the text of a value whose meaning is not known here. A number beyond the
// range of a double is refused: the value will stand in every list that consumers read, and
// many of their parsers fail on the whole list for one such number (RFC 8259 §6).
func rawValue(path string, v any) (json.RawMessage, error) {
	if !numbersInRange(v) {
		return nil, &Invalid{path, "must not contain numbers beyond the range of a double"}
	}
	return json.Marshal(v)
}

// numbersInRange reports whether all numbers in a value fit a double.
func numbersInRange(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, err := v.Float64()
		return err == nil
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !numbersInRange(e) })
	case map[string]any:
		for _, e := range v {
			if !numbersInRange(e) {
				return false
			}
		}
	}
	return true
}

// list reads an optional array.
func (o object) list(name string) ([]any, error) {
	v, err := o.member(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	l, ok := v.([]any)
	if !ok {
		return nil, &Invalid{o.pathTo(name), "must be an array"}
	}
	return l, nil
}

// texts reads an optional array of strings that are not empty.
func (o object) texts(name string, most int) ([]string, error) {
	l, err := o.list(name)
	if l == nil || err != nil {
		return nil, err
	}
	out := make([]string, 0, len(l))
	for _, v := range l {
		s, ok := v.(string)
		if !ok || s == "" {
			return nil, &Invalid{o.pathTo(name), "must be an array of strings that are not empty"}
		}
		if err := checkText(o.pathTo(name), s, most); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// ignoreAbsent is the error of an optional member.
func ignoreAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}
