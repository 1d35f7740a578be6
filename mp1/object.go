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

func (o object) pathTo(name string) string { return strings.TrimPrefix(o.path+"."+name, ".") }

// only refuses other cases of the names known here.
func (o object) refuseOtherCase(names ...string) error {
	for member := range o.members {
		for _, name := range names {
			if member != name && strings.EqualFold(member, name) {
				return &Invalid{o.pathTo(name), "the name must be written exactly so"}
			}
		}
	}
	return nil
}

// get returns a member; absent and null are errAbsent.
func (o object) member(name string) (any, error) {
	if v := o.members[name]; v != nil {
		return v, nil
	}
	return nil, errAbsent
}

// missing turns an absence into a fault where the member is mandatory.
func (o object) required(name string, err error) error {
	if errors.Is(err, errAbsent) {
		return &Invalid{o.pathTo(name), "is mandatory"}
	}
	return err
}

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
func (o object) requiredText(name string, most int) (string, error) {
	s, err := o.text(name, most)
	if err == nil && s == "" {
		err = &Invalid{o.pathTo(name), "must not be empty"}
	}
	return s, o.required(name, err)
}

// mayEnum is an optional enum; "" is the absence that types without one send.
func (o object) optionalEnum(name string, values []string) (string, error) {
	if o.members[name] == "" {
		return "", nil
	}
	s, err := o.enum(name, values)
	return s, ignoreAbsent(err)
}

func (o object) enum(name string, values []string) (string, error) {
	s, err := o.text(name, maxText)
	if err == nil && !slices.Contains(values, s) {
		err = &Invalid{o.pathTo(name), "must be one of " + strings.Join(values, ", ")}
	}
	return s, err
}

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

// whole reads an integer that is not negative, of any size and however it is written;
// larger ones than most count as most.
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

// something is the object of a name; errAbsent also if nothing is said in it. Types
// without an absence, as EdgeGallery's agent has them, send one with all members empty.
func (o object) nonEmptyObject(name string) (object, error) {
	v, err := o.object(name)
	if err == nil && isEmpty(v.members) {
		return object{}, errAbsent
	}
	return v, err
}

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

// raw reads an object whose inside only its sender understands, as text.
func (o object) rawObject(name string) (json.RawMessage, error) {
	v, err := o.object(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	return rawValue(v.path, v.members)
}

// others are the members beside a known one, as text.
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

// text writes a value as it came. It will stand in every list that consumers read,
// and many of their parsers fail on the whole document when one number is beyond a
// double (RFC 8259 §6), so such a one is refused here.
func rawValue(path string, v any) (json.RawMessage, error) {
	if !numbersInRange(v) {
		return nil, &Invalid{path, "must not contain numbers beyond the range of a double"}
	}
	return json.Marshal(v)
}

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

func ignoreAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}
