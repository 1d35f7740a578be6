// Package written knows how to read JSON in the very form in which this platform writes it: without
// white space, and with members in a known order. It must not know of what, and it is no judge of
// JSON: what has another form may be good all the same, and is for encoding/json.
package written

import (
	"strconv"
	"unicode/utf8"
)

// Reader goes through a text. Once something has another form than is expected, it reads nothing any
// more, and what it has read is to be thrown away.
type Reader[T string | []byte] struct {
	in    T
	at    int
	exact bool
	other bool // it has another form
}

// Of reads a text whose strings may escape what they like.
func Of[T string | []byte](text T) Reader[T] { return Reader[T]{in: text} }

// Exactly reads a text whose strings must stand as encoding/json writes them, which escapes for HTML.
// Of the escapes that it writes, the rare ones are another form too.
func Exactly[T string | []byte](text T) Reader[T] { return Reader[T]{in: text, exact: true} }

// Done says whether all of the text was as expected, up to its end.
func (r *Reader[T]) Done() bool { return !r.other && r.at == len(r.in) }

// At is how far it has come, in bytes.
func (r *Reader[T]) At() int { return r.at }

// Refuse says that the text has another form.
func (r *Reader[T]) Refuse() { r.other = true }

// Take goes behind what must follow.
func (r *Reader[T]) Take(what string) {
	if !r.May(what) {
		r.other = true
	}
}

// May goes behind what may follow, and says whether it did.
func (r *Reader[T]) May(what string) bool {
	end := r.at + len(what)
	if r.other || end > len(r.in) || string(r.in[r.at:end]) != what {
		return false
	}
	r.at = end
	return true
}

// Int goes behind a whole number. One that does not fit is another form.
func Int[T string | []byte, N ~int | ~int64 | ~uint64 | ~uint8](r *Reader[T], to *N) {
	from, end := r.at, r.at
	if end < len(r.in) && r.in[end] == '-' {
		end++
	}
	first := end
	for end < len(r.in) && r.in[end] >= '0' && r.in[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(r.in[from:end]), 10, 64)
	*to, r.at = N(n), end
	fits := int64(*to) == n && (n < 0) == (*to < 0)
	if err != nil || !fits || r.in[first] == '0' && end-from > 1 { // -0, and leading zeros, which JSON does not have
		r.other = true
	}
}

// Text goes behind a string, and copies its value out of bytes; out of a string it is a part of that,
// unless something in it is escaped.
func Text[T string | []byte, S ~string](r *Reader[T], to *S) { *to = S(r.text()) }

// MayInt goes behind a member that may follow, whose value is a whole number. name has what stands
// before the value.
func MayInt[T string | []byte, N ~int | ~int64 | ~uint64 | ~uint8](r *Reader[T], name string, to *N) {
	if r.May(name) {
		Int(r, to)
	}
}

// MayText goes behind a member that may follow, whose value is a string. name has what stands before
// the value.
func MayText[T string | []byte, S ~string](r *Reader[T], name string, to *S) {
	if r.May(name) {
		Text(r, to)
	}
}

// Skip goes behind a string.
func (r *Reader[T]) Skip() {
	r.Take(`"`)
	for at := r.plain(r.at); !r.other; at = r.plain(at) {
		if r.in[at] == '"' {
			r.at = at + 1
			return
		}
		at += r.special(at)
	}
}

// text goes behind a string and returns its value.
func (r *Reader[T]) text() string {
	r.Take(`"`)
	from := r.at
	at := r.plain(from)
	switch {
	case r.other:
		return ""
	case r.in[at] == '"':
		r.at = at + 1
		return string(r.in[from:at])
	}
	return r.unescaped(from, at)
}

// unescaped is text of which nothing is special up to at.
func (r *Reader[T]) unescaped(from, at int) string {
	var room [1 << 10]byte // most fit, and are copied out once
	out := room[:0]
	for ; !r.other; at = r.plain(at) {
		c := r.in[at]
		if c >= utf8.RuneSelf {
			at += r.special(at)
			continue
		}
		if c == '"' && len(out) == 0 {
			r.at = at + 1
			return string(r.in[from:at])
		}
		if len(out)+at-from+utf8.UTFMax > cap(out) {
			out = append(make([]byte, 0, len(out)+len(r.in)-from), out...)
		}
		out = append(out, r.in[from:at]...)
		if c == '"' {
			r.at = at + 1
			return string(out)
		}
		n := r.special(at)
		if !r.other {
			out = appendEscaped(out, r.in[at:at+n])
		}
		at += n
		from = at
	}
	return ""
}

// What a byte of a string is that says what it is, whatever stands beside it.
const (
	plainText  = 1 << iota
	plainExact // also if it is escaped for HTML
)

// kinds are the bytes that are plain.
var kinds = func() (all [1 << 8]uint8) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		switch c {
		case '"', '\\':
		case '<', '>', '&':
			all[c] = plainText
		default:
			all[c] = plainText | plainExact
		}
	}
	return all
}()

// plain goes on to the next byte that is not plain. Without one the text has another form.
func (r *Reader[T]) plain(at int) int {
	in, kind := r.in, uint8(plainText)
	if r.exact {
		kind = plainExact
	}
	for at < len(in) {
		if kinds[in[at]]&kind == 0 {
			return at
		}
		at++
	}
	r.other = true
	return at
}

// special is how many bytes there are of what is not plain, and no quote.
func (r *Reader[T]) special(at int) int {
	switch c := r.in[at]; {
	case c == '\\':
		return r.escape(at)
	case c >= utf8.RuneSelf:
		return r.wide(at)
	}
	r.other = true
	return 1
}

// wide is how many bytes a character has that has several.
func (r *Reader[T]) wide(at int) int {
	c, n := utf8.DecodeRuneInString(string(r.in[at:min(at+utf8.UTFMax, len(r.in))]))
	if n < 2 || r.exact && (c == '\u2028' || c == '\u2029') {
		r.other = true
	}
	return n
}

// exactEscapes are those that encoding/json writes and that are not rare, beside quotes and backslashes.
var exactEscapes = [...]string{`\u0026`, `\n`, `\t`, `\u003c`, `\u003e`}

// escape is how many bytes an escape has.
func (r *Reader[T]) escape(at int) int {
	const number = len(`\u0026`)
	n := 2
	if at+1 < len(r.in) && r.in[at+1] == 'u' {
		n = number
	}
	if at+n > len(r.in) {
		r.other = true
		return n
	}
	if c := r.in[at+1]; c == '"' || c == '\\' { // nearly all
		return n
	}
	if r.exact {
		for _, e := range exactEscapes {
			if string(r.in[at:at+n]) == e {
				return n
			}
		}
		r.other = true
		return n
	}
	if n == number {
		if c, ok := escaped(string(r.in[at+2 : at+n])); !ok || utf8.RuneLen(c) < 0 { // half of a character
			r.other = true
		}
		return n
	}
	switch r.in[at+1] {
	case '/', 'b', 'f', 'n', 'r', 't':
	default:
		r.other = true
	}
	return n
}

// escaped is the character of an escape with a number.
func escaped(hex string) (c rune, ok bool) {
	for i := range len(hex) {
		c <<= 4
		switch d := hex[i]; {
		case d >= '0' && d <= '9':
			c |= rune(d - '0')
		case d >= 'a' && d <= 'f':
			c |= rune(d-'a') + 10
		case d >= 'A' && d <= 'F':
			c |= rune(d-'A') + 10
		default:
			return 0, false
		}
	}
	return c, true
}

// appendEscaped appends what an escape stands for.
func appendEscaped[T string | []byte](out []byte, escape T) []byte {
	switch c := escape[1]; c {
	case 'u':
		one, _ := escaped(string(escape[2:]))
		return utf8.AppendRune(out, one)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	default:
		return append(out, c)
	}
}
