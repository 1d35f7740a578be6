package mp1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

const maxDepth = 16

// document reads one JSON object, strictly: encoding/json by itself accepts
// duplicate members, other cases of a name, bad UTF-8, lone surrogates and null.
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
