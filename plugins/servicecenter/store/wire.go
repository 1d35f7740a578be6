package store

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
)

// encode writes a value as JSON without escaping <, > and & for HTML, which nobody
// reads here: each would take six bytes, and seven where JSON stands within JSON.
func encode(v any) (string, error) {
	w := writers.Get().(*writer)
	w.Reset()
	err := w.Encode(v)
	text := string(bytes.TrimSuffix(w.Bytes(), []byte("\n")))
	if w.Cap() <= keptWriter {
		writers.Put(w)
	}
	return text, err
}

// writer encodes values one after the other, into the same memory.
type writer struct {
	bytes.Buffer
	*json.Encoder
}

var writers = sync.Pool{New: func() any {
	w := new(writer)
	w.Encoder = json.NewEncoder(&w.Buffer)
	w.SetEscapeHTML(false)
	return w
}}

// keptWriter is how much memory is kept for the next value, in bytes.
const keptWriter = 16 << 10

// escaped are the characters that encoding/json escapes for HTML, and how.
var escaped = map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&", `\u2028`: "\u2028", `\u2029`: "\u2029"}

const escapeLen = len(`\u003c`)

// unescaped is JSON text with those characters as they are. Its inverse is
// canonical.
func unescaped(text string) string {
	if !strings.Contains(text, `\u00`) && !strings.Contains(text, `\u202`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			i++
			continue
		}
		if i+escapeLen <= len(text) {
			if plain, ok := escaped[text[i:i+escapeLen]]; ok {
				b.WriteString(plain)
				i += escapeLen
				continue
			}
		}
		n := min(2, len(text)-i) // a backslash and what it escapes, which may be one too
		b.WriteString(text[i : i+n])
		i += n
	}
	return b.String()
}

// canonical is the one form in which attributes are compared: that of encoding/json,
// whoever wrote them and whenever.
func canonical(text string) string {
	const separators = "\xe2\x80" // what U+2028 and U+2029 begin with
	if !strings.ContainsAny(text, "<>&") && !strings.Contains(text, separators) {
		return text
	}
	var b bytes.Buffer
	json.HTMLEscape(&b, []byte(text))
	return b.String()
}

// smallEvent is how long attributes may be that an event simply carries, in bytes.
const smallEvent = 1 << 10

// eventAttributes is what an event carries of the attributes: what consumers filter by. How a
// service is reached is neither filtered by nor told, and may be 60 kB in the record
// already.
func eventAttributes(attributes string) string {
	if len(attributes) <= smallEvent {
		return attributes
	}
	var info mp1.ServiceInfo
	if json.Unmarshal([]byte(attributes), &info) != nil {
		return attributes
	}
	info.TransportInfo = nil
	short, err := encode(info)
	if err != nil {
		return attributes
	}
	return short
}
