package mp1

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Written is a ServiceInfo that the platform has stored in the very form in which it would write it
// today. An answer has the same members, and a few more: it is made of the text, which costs a
// tenth of what it costs to read it and to write it again.
type Written struct {
	text           string
	name, category span // of the values, with their quotes
	state          int32
	transportID    span // with the comma before it
}

// span is a part of the text.
type span struct{ from, to int32 }

// maxWritten is how long a text may be, in bytes: places in it are 32 bits wide.
const maxWritten = 1 << 30

// ReadWritten finds its way in a stored ServiceInfo. ok is false if it is written in another way, by
// another release or by hand, or has what is rare: then ReadStored must read it. It is true only if
// what ReadStored would read would be written as it stands there.
func ReadWritten(text string) (w Written, ok bool) {
	r := reader{in: text}
	w.text = text
	r.take(`{"serName":`)
	w.name = r.text()
	if r.may(`,"serCategory":{"href":`) {
		r.text()
		r.take(`,"id":`)
		w.category = r.text()
		r.member(`,"name":`)
		r.member(`,"version":`)
		r.take(`}`)
	}
	r.member(`,"version":`)
	r.take(`,"state":"`)
	w.state = int32(r.at)
	r.take(`"`)
	w.transportID.from = int32(r.at)
	r.optional(`,"transportId":`)
	w.transportID.to = int32(r.at)
	if r.may(`,"transportInfo":`) {
		r.transport()
	}
	r.member(`,"serializer":`)
	r.take(`,"scopeOfLocality":`)
	r.something()
	if !r.may(`,"consumedLocalOnly":false`) {
		r.take(`,"consumedLocalOnly":true`)
	}
	r.take(`,"isLocal":true}`)
	return w, !r.bad && r.at == len(text) && len(text) < maxWritten
}

// SerName is its serName.
func (w *Written) SerName() string { return w.value(w.name) }

// Category is the id of its category; false: it has none.
func (w *Written) Category() (id string, is bool) {
	return w.value(w.category), w.category != span{}
}

// Len is how long the text is.
func (w *Written) Len() int { return len(w.text) }

// value is a string of the text without its quotes.
func (w *Written) value(of span) string {
	if of == (span{}) {
		return ""
	}
	quoted := w.text[of.from:of.to]
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return unquoted(quoted)
}

func unquoted(s string) (out string) {
	_ = json.Unmarshal([]byte(s), &out) // a string: cannot fail
	return out
}

// AppendAnswer appends the object as an answer has it, but for the members that end one and the
// brace behind them: livenessInterval and _links. transportId is left out.
func (w *Written) AppendAnswer(to []byte, id string, s State) []byte {
	to = append(to, `{"serInstanceId":`...)
	to = AppendString(to, id)
	to = append(to, ',')
	to = append(to, w.text[1:w.state]...)
	to = append(to, s...)
	to = append(to, w.text[w.state:w.transportID.from]...)
	return append(to, w.text[w.transportID.to:len(w.text)-1]...)
}

// AppendString appends a string as encoding/json writes it.
func AppendString(to []byte, s string) []byte {
	for i := range len(s) {
		if !plain(s[i]) {
			b, _ := json.Marshal(s) // a string: cannot fail
			return append(to, b...)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// plain says whether encoding/json writes a byte of a string as it is, whatever stands beside it.
func plain(c byte) bool {
	return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// reader goes through a text that must be as it is expected, byte for byte.
type reader struct {
	in  string
	at  int
	bad bool // it is not
}

// take goes behind what must follow.
func (r *reader) take(what string) {
	if !r.may(what) {
		r.bad = true
	}
}

// may goes behind what may follow, and says whether it did.
func (r *reader) may(what string) bool {
	if r.bad || !strings.HasPrefix(r.in[r.at:], what) {
		return false
	}
	r.at += len(what)
	return true
}

// member goes behind a member whose value is a string.
func (r *reader) member(name string) {
	r.take(name)
	r.text()
}

// optional goes behind a member that is left out if its value is empty.
func (r *reader) optional(name string) {
	if r.may(name) {
		r.something()
	}
}

// something goes behind a string that is not empty.
func (r *reader) something() {
	if s := r.text(); s.to-s.from <= 2 {
		r.bad = true
	}
}

// text goes behind a string.
func (r *reader) text() span {
	from := r.at
	r.take(`"`)
	for !r.bad && r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case plain(c):
			r.at++
		case c == '"':
			r.at++
			return span{int32(from), int32(r.at)}
		case c == '\\':
			r.escape()
		default:
			r.wide()
		}
	}
	r.bad = true
	return span{}
}

// escapes are what may stand for a character that cannot stand for itself. Others are rare.
func (r *reader) escape() {
	for _, e := range [...]string{`\"`, `\\`, `\u0026`, `\n`, `\t`, `\u003c`, `\u003e`} {
		if r.may(e) {
			return
		}
	}
	r.bad = true
}

// wide goes behind a character of several bytes, except those that are written otherwise.
func (r *reader) wide() {
	c, n := utf8.DecodeRuneInString(r.in[r.at:])
	if n < 2 || c == '\u2028' || c == '\u2029' {
		r.bad = true
	}
	r.at += n
}

// transport goes behind a TransportInfo without what only applications understand.
func (r *reader) transport() {
	r.member(`{"id":`)
	r.member(`,"name":`)
	r.optional(`,"description":`)
	r.member(`,"type":`)
	r.member(`,"protocol":`)
	r.member(`,"version":`)
	r.take(`,"endpoint":{`)
	r.endpoint()
	r.take(`,"security":{`)
	if r.may(`"oAuth2Info":{`) {
		r.oauth()
	}
	r.take(`}}`)
}

func (r *reader) endpoint() {
	first := true
	for _, name := range [...]string{`"uris":`, `"fqdn":`} {
		if r.next(&first, name) {
			r.list(false)
		}
	}
	if r.next(&first, `"addresses":`) {
		r.list(true)
	}
	r.take(`}`)
}

func (r *reader) oauth() {
	first := true
	if r.next(&first, `"grantTypes":`) {
		if r.may(`[]`) {
			r.bad = true
		}
		r.list(false)
	}
	if r.next(&first, `"tokenEndpoint":`) {
		r.something()
	}
	r.take(`}`)
}

// next goes behind the name of a member that may follow, and the comma before it.
func (r *reader) next(first *bool, name string) bool {
	at := r.at
	if (*first || r.may(`,`)) && r.may(name) {
		*first = false
		return true
	}
	r.at = at
	return false
}

// list goes behind an array of addresses, or of strings.
func (r *reader) list(addresses bool) {
	r.take(`[`)
	if r.may(`]`) {
		return
	}
	for first := true; first || r.may(`,`); first = false {
		if addresses {
			r.address()
		} else {
			r.text()
		}
	}
	r.take(`]`)
}

func (r *reader) address() {
	r.member(`{"host":`)
	r.take(`,"port":`)
	from := r.at
	for r.at < len(r.in) && r.in[r.at] >= '0' && r.in[r.at] <= '9' {
		r.at++
	}
	if digits := r.at - from; digits == 0 || digits > 9 || digits > 1 && r.in[from] == '0' {
		r.bad = true
	}
	r.take(`}`)
}
