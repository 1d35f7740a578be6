package mp1

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a JSON object being read: the first fault stays.
type object struct {
	path    string
	members map[string]any
}

var errAbsent = errors.New("absent")

func (o object) at(name string) string { return strings.TrimPrefix(o.path+"."+name, ".") }

// only refuses other cases of the names known here.
func (o object) only(names ...string) error {
	for member := range o.members {
		for _, name := range names {
			if member != name && strings.EqualFold(member, name) {
				return &Invalid{o.at(name), "the name must be written exactly so"}
			}
		}
	}
	return nil
}

// get returns a member; absent and null are errAbsent.
func (o object) get(name string) (any, error) {
	if v := o.members[name]; v != nil {
		return v, nil
	}
	return nil, errAbsent
}

// missing turns an absence into a fault where the member is mandatory.
func (o object) missing(name string, err error) error {
	if errors.Is(err, errAbsent) {
		return &Invalid{o.at(name), "is mandatory"}
	}
	return err
}

func (o object) text(name string, most int) (string, error) {
	v, err := o.get(name)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", &Invalid{o.at(name), "must be a string"}
	}
	return s, checkText(o.at(name), s, most)
}

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

// filled is a mandatory text that is not empty.
func (o object) filled(name string, most int) (string, error) {
	s, err := o.text(name, most)
	if err == nil && s == "" {
		err = &Invalid{o.at(name), "must not be empty"}
	}
	return s, o.missing(name, err)
}

// mayEnum is an optional enum; "" is the absence that types without one send.
func (o object) mayEnum(name string, values []string) (string, error) {
	if o.members[name] == "" {
		return "", nil
	}
	s, err := o.enum(name, values)
	return s, ignoreAbsent(err)
}

func (o object) enum(name string, values []string) (string, error) {
	s, err := o.text(name, maxText)
	if err == nil && !slices.Contains(values, s) {
		err = &Invalid{o.at(name), "must be one of " + strings.Join(values, ", ")}
	}
	return s, err
}

func (o object) boolean(name string) (*bool, error) {
	v, err := o.get(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	b, ok := v.(bool)
	if !ok {
		return nil, &Invalid{o.at(name), "must be true or false"}
	}
	return &b, nil
}

// whole reads an integer that is not negative, of any size and however it is written;
// larger ones than most count as most.
func (o object) whole(name string, most int) (*int, error) {
	v, err := o.get(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if n, ok := v.(json.Number); ok {
		if i, ok := wholeNumber(string(n), most); ok {
			return &i, nil
		}
	}
	return nil, &Invalid{o.at(name), "must be a whole number, 0 or greater"}
}

// something is the object of a name; errAbsent also if nothing is said in it. Types
// without an absence, as EdgeGallery's agent has them, send one with all members empty.
func (o object) something(name string) (object, error) {
	v, err := o.object(name)
	if err == nil && saysNothing(v.members) {
		return object{}, errAbsent
	}
	return v, err
}

func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !saysNothing(e) })
	case map[string]any:
		for _, e := range v {
			if !saysNothing(e) {
				return false
			}
		}
		return true
	}
	return false
}

func (o object) object(name string) (object, error) {
	v, err := o.get(name)
	if err != nil {
		return object{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return object{}, &Invalid{o.at(name), "must be an object"}
	}
	return object{path: o.at(name), members: m}, nil
}

// raw reads an object whose inside only its sender understands, as text.
func (o object) raw(name string) (json.RawMessage, error) {
	v, err := o.object(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	return text(v.path, v.members)
}

// others are the members beside a known one, as text.
func (o object) others(than string) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	for name, v := range o.members {
		if name == than {
			continue
		}
		at := o.path
		if identifier(name) {
			at = o.at(name)
		}
		b, err := text(at, v)
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

// text writes a value as it came. It will stand in every list that consumers read,
// and many of their parsers fail on the whole document when one number is beyond a
// double (RFC 8259 §6), so such a one is refused here.
func text(path string, v any) (json.RawMessage, error) {
	if !inRange(v) {
		return nil, &Invalid{path, "must not contain numbers beyond the range of a double"}
	}
	return json.Marshal(v)
}

func inRange(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, err := v.Float64()
		return err == nil
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !inRange(e) })
	case map[string]any:
		for _, e := range v {
			if !inRange(e) {
				return false
			}
		}
	}
	return true
}

func (o object) list(name string) ([]any, error) {
	v, err := o.get(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	l, ok := v.([]any)
	if !ok {
		return nil, &Invalid{o.at(name), "must be an array"}
	}
	return l, nil
}

func (o object) texts(name string, most int) ([]string, error) {
	l, err := o.list(name)
	if l == nil || err != nil {
		return nil, err
	}
	out := make([]string, 0, len(l))
	for _, v := range l {
		s, ok := v.(string)
		if !ok || s == "" {
			return nil, &Invalid{o.at(name), "must be an array of strings that are not empty"}
		}
		if err := checkText(o.at(name), s, most); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}
