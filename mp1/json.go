package mp1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Invalid says which attribute of a request broke which rule. It never repeats what
// was sent.
type Invalid struct {
	Attribute string // a path such as transportInfo.endpoint.uris; "" is the whole
	Rule      string
}

func (e *Invalid) Error() string {
	if e.Attribute == "" {
		return e.Rule
	}
	return e.Attribute + ": " + e.Rule
}

const maxDepth = 16

// document reads one JSON object, strictly: encoding/json by itself accepts
// duplicate members, other cases of a name, bad UTF-8, lone surrogates and null.
func document(data []byte) (object, error) {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return object{}, &Invalid{"", "the body is empty; it must be one JSON object"}
	case !utf8.Valid(data) || loneSurrogate(data):
		return object{}, &Invalid{"", "the body must be valid UTF-8, without lone surrogates"}
	case !json.Valid(data):
		return object{}, &Invalid{"", "the body must be exactly one JSON document"}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := element(dec, "", 0)
	if err != nil {
		return object{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return object{}, &Invalid{"", "the body must be a JSON object"}
	}
	return object{members: m}, nil
}

func element(dec *json.Decoder, path string, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, &Invalid{"", "the body must be exactly one JSON document"}
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if depth++; depth > maxDepth {
		return nil, &Invalid{"", fmt.Sprintf("the body is nested deeper than %d levels", maxDepth)}
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, err := element(dec, path, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	m := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, &Invalid{"", "the body must be exactly one JSON document"}
		}
		name, _ := key.(string)
		if _, twice := m[name]; twice {
			return nil, &Invalid{path, "a member stands twice in this object"}
		}
		inner := path
		if known(name) {
			inner = strings.TrimPrefix(path+"."+name, ".")
		}
		if m[name], err = element(dec, inner, depth); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token()
	return m, err
}

// loneSurrogate finds a \uD800-\uDFFF escape without its other half, which
// encoding/json would turn into U+FFFD.
func loneSurrogate(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 || i+1 >= len(data) {
			return false
		}
		if data[i+1] != 'u' {
			data = data[i+2:]
			continue
		}
		u := hex4(data[i+2:])
		data = data[min(i+6, len(data)):]
		switch {
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		case u >= 0xd800 && u <= 0xdbff:
			if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
				return true
			}
			if low := hex4(data[2:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			data = data[6:]
		}
	}
}

func hex4(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

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
	if len(s) > most {
		return &Invalid{path, fmt.Sprintf("must not be longer than %d bytes", most)}
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

// whole reads an integer that is not negative, of any size; larger ones than most
// count as most.
func (o object) whole(name string, most int) (*int, error) {
	v, err := o.get(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	n, ok := v.(json.Number)
	if !ok || strings.Trim(string(n), "0123456789") != "" {
		return nil, &Invalid{o.at(name), "must be a whole number, 0 or greater"}
	}
	i, err := strconv.Atoi(string(n))
	if err != nil || i > most {
		i = most
	}
	return &i, nil
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
