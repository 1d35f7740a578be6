package mp1

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/mec-liveness/mepserver/mp1/written"
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
	r := reader{Reader: written.Exactly(text)}
	w.text = text
	return w, r.service(&w)
}

// readWritten is ReadStored of such a text: a fifth of the objects that encoding/json makes.
func readWritten(text string) (ServiceInfo, bool) {
	r := reader{Reader: written.Exactly(text), values: true}
	ok := r.service(&Written{text: text})
	return r.info, ok
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
	var out string
	r := written.Of(w.text[of.from:of.to])
	written.Text(&r, &out)
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
	written.Reader[string]
	values bool // what is read goes into info; what that points to is in the other members until it is read
	info   ServiceInfo

	category  CategoryRef
	transport TransportInfo
	oauth     OAuth2Info
}

// service goes through all of it.
func (r *reader) service(w *Written) bool {
	r.Take(`{"serName":`)
	w.name = text(r, &r.info.SerName)
	if r.May(`,"serCategory":{"href":`) {
		r.readCategory(w)
	}
	member(r, `,"version":`, &r.info.Version)
	r.Take(`,"state":"`)
	w.state = int32(r.At())
	r.Take(`"`)
	w.transportID.from = int32(r.At())
	optional(r, `,"transportId":`, &r.info.TransportID)
	w.transportID.to = int32(r.At())
	if r.May(`,"transportInfo":`) {
		r.readTransport()
	}
	member(r, `,"serializer":`, &r.info.Serializer)
	r.Take(`,"scopeOfLocality":`)
	something(r, &r.info.ScopeOfLocality)
	local := !r.May(`,"consumedLocalOnly":false`)
	if local {
		r.Take(`,"consumedLocalOnly":true`)
	}
	if r.values {
		is := local
		r.info.ConsumedLocalOnly = &is
	}
	r.Take(`,"isLocal":true}`)
	return r.Done() && len(w.text) < maxWritten
}

// text goes behind a string.
func text[S ~string](r *reader, to *S) span {
	from := r.At()
	if r.values {
		written.Text(&r.Reader, to)
	} else {
		r.Skip()
	}
	return span{int32(from), int32(r.At())}
}

// member goes behind a member whose value is a string.
func member[S ~string](r *reader, name string, to *S) {
	r.Take(name)
	text(r, to)
}

// optional goes behind a member that is left out if its value is empty.
func optional[S ~string](r *reader, name string, to *S) {
	if r.May(name) {
		something(r, to)
	}
}

// something goes behind a string that is not empty.
func something[S ~string](r *reader, to *S) {
	if s := text(r, to); s.to-s.from <= 2 {
		r.Refuse()
	}
}

func (r *reader) readCategory(w *Written) {
	text(r, &r.category.Href)
	r.Take(`,"id":`)
	w.category = text(r, &r.category.ID)
	member(r, `,"name":`, &r.category.Name)
	member(r, `,"version":`, &r.category.Version)
	r.Take(`}`)
	if r.values {
		is := r.category
		r.info.SerCategory = &is
	}
}

// readTransport goes behind a TransportInfo without what only applications understand.
func (r *reader) readTransport() {
	t := &r.transport
	member(r, `{"id":`, &t.ID)
	member(r, `,"name":`, &t.Name)
	optional(r, `,"description":`, &t.Description)
	member(r, `,"type":`, &t.Type)
	member(r, `,"protocol":`, &t.Protocol)
	member(r, `,"version":`, &t.Version)
	r.Take(`,"endpoint":{`)
	r.readEndpoint(&t.Endpoint)
	r.Take(`,"security":{`)
	if r.May(`"oAuth2Info":{`) {
		r.readOAuth()
	}
	r.Take(`}}`)
	if r.values {
		is := *t
		r.info.TransportInfo = &is
	}
}

func (r *reader) readEndpoint(e *EndPointInfo) {
	first := true
	if r.next(&first, `,"uris":[`) {
		e.URIs = r.texts()
	}
	if r.next(&first, `,"fqdn":[`) {
		e.FQDN = r.texts()
	}
	if r.next(&first, `,"addresses":[`) {
		e.Addresses = r.addresses()
	}
	if r.next(&first, `,"alternative":{}`) && r.values {
		e.Alternative = json.RawMessage(`{}`)
	}
	r.Take(`}`)
}

func (r *reader) readOAuth() {
	first := true
	if r.next(&first, `,"grantTypes":[`) {
		if r.May(`]`) { // which is not written
			r.Refuse()
		}
		r.oauth.GrantTypes = r.texts()
	}
	if r.next(&first, `,"tokenEndpoint":`) {
		something(r, &r.oauth.TokenEndpoint)
	}
	r.Take(`}`)
	if r.values {
		is := r.oauth
		r.transport.Security.OAuth2Info = &is
	}
}

// next goes behind what may begin the next member of an object: without its comma, if it is the first.
func (r *reader) next(first *bool, name string) bool {
	if *first {
		name = name[len(`,`):]
	}
	if !r.May(name) {
		return false
	}
	*first = false
	return true
}

// texts goes behind an array of strings whose bracket is read.
func (r *reader) texts() []string {
	all := []string{}
	if r.May(`]`) {
		return all
	}
	for first := true; first || r.May(`,`); first = false {
		var one string
		if text(r, &one); r.values {
			all = append(all, one)
		}
	}
	r.Take(`]`)
	return all
}

func (r *reader) addresses() []Address {
	all := []Address{}
	if r.May(`]`) {
		return all
	}
	for first := true; first || r.May(`,`); first = false {
		var one Address
		member(r, `{"host":`, &one.Host)
		r.Take(`,"port":`)
		written.Int(&r.Reader, &one.Port)
		if r.Take(`}`); r.values {
			all = append(all, one)
		}
	}
	r.Take(`]`)
	return all
}
