package mp1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays of a body may be nested; MEC 011's own members need 5.
const maxDepth = 16

// readDocument reads one JSON object, strictly. encoding/json by itself accepts duplicate
// members, names in another case, invalid UTF-8, lone surrogates and null, which another
// reader of the same body may understand differently (docs/adr/0006).
func readDocument(data []byte) (object, error) {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return object{}, &Invalid{"", "the body is empty; it must be one JSON object"}
	case !utf8.Valid(data) || loneSurrogate(data):
		return object{}, &Invalid{"", "the body must be valid UTF-8, without lone surrogates"}
	case !json.Valid(data):
		return object{}, &Invalid{"", "the body must be exactly one JSON document"}
	}
	v, err := (&valueReader{rest: data}).value("", 0)
	if err != nil {
		return object{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return object{}, &Invalid{"", "the body must be a JSON object"}
	}
	return object{members: m}, nil
}

// valueReader reads a JSON document that json.Valid has accepted. A json.Decoder's tokens allocate
// several times as much.
type valueReader struct{ rest []byte }

// value reads one value: nil, bool, json.Number, string, []any or map[string]any. path
// is that of the object in which it stands.
func (r *valueReader) value(path string, depth int) (any, error) {
	switch r.next() {
	case '{', '[':
		if depth++; depth > maxDepth {
			return nil, &Invalid{"", fmt.Sprintf("the body is nested deeper than %d levels", maxDepth)}
		}
		if r.rest[0] == '[' {
			return r.list(path, depth)
		}
		return r.object(path, depth)
	case '"':
		return r.text(), nil
	case 'n':
		r.rest = r.rest[len("null"):]
		return nil, nil
	case 't':
		r.rest = r.rest[len("true"):]
		return true, nil
	case 'f':
		r.rest = r.rest[len("false"):]
		return false, nil
	default:
		n := 0
		for n < len(r.rest) && strings.IndexByte("+-.0123456789Ee", r.rest[n]) >= 0 {
			n++
		}
		number := json.Number(r.rest[:n])
		r.rest = r.rest[n:]
		return number, nil
	}
}

// next goes behind white space, commas and colons, and returns what stands there.
func (r *valueReader) next() byte {
	for strings.IndexByte(" \t\r\n,:", r.rest[0]) >= 0 {
		r.rest = r.rest[1:]
	}
	return r.rest[0]
}

func (r *valueReader) list(path string, depth int) (any, error) {
	out := []any{}
	for r.rest = r.rest[1:]; r.next() != ']'; {
		v, err := r.value(path, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	r.rest = r.rest[1:]
	return out, nil
}

func (r *valueReader) object(path string, depth int) (any, error) {
	out := map[string]any{}
	for r.rest = r.rest[1:]; r.next() != '}'; {
		name := r.text()
		if _, twice := out[name]; twice {
			return nil, object{path: path}.memberFault(name, "stands twice in its object")
		}
		inner := path
		if c := r.next(); (c == '{' || c == '[') && isWord(name) { // nothing else needs its path
			inner = object{path: path}.pathTo(name)
		}
		var err error
		if out[name], err = r.value(inner, depth); err != nil {
			return nil, err
		}
	}
	r.rest = r.rest[1:]
	return out, nil
}

// text reads a string.
func (r *valueReader) text() string {
	escaped := false
	for n := 1; ; n++ {
		switch r.rest[n] {
		case '\\':
			escaped = true
			n++
		case '"':
			text := r.rest[:n+1]
			r.rest = r.rest[n+1:]
			if !escaped {
				return string(text[1:n])
			}
			var out string
			_ = json.Unmarshal(text, &out) // a string: cannot fail
			return out
		}
	}
}

// loneSurrogate reports whether a \uD800-\uDFFF escape stands without its other half.
// encoding/json would replace it by U+FFFD, so that two names could become the same.
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

// hex4 is the number of four hexadecimal digits, 0 if there are none.
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
