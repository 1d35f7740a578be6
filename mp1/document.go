package mp1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := readValue(dec, "", 0)
	if err != nil {
		return object{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return object{}, &Invalid{"", "the body must be a JSON object"}
	}
	return object{members: m}, nil
}

// readValue reads one value: nil, bool, json.Number, string, []any or map[string]any. path
// is that of the object in which it stands.
func readValue(dec *json.Decoder, path string, depth int) (any, error) {
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
			v, err := readValue(dec, path, depth)
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
			return nil, object{path: path}.memberFault(name, "stands twice in its object")
		}
		inner := path
		if isWord(name) {
			inner = object{path: path}.pathTo(name)
		}
		if m[name], err = readValue(dec, inner, depth); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token()
	return m, err
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
