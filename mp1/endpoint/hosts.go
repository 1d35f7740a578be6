package endpoint

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// ipOf reads an IP address, with or without brackets. A zone says something on the
// machine itself only (RFC 6874 §1), and is left out.
func ipOf(text string) (string, bool) {
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return "", false
	}
	return ip.WithZone("").Unmap().String(), true
}

const (
	mostHost  = 253
	mostLabel = 63
)

// hostOf makes a host one that a URL can have, or says that it is none. A name in
// another script becomes its ASCII form (RFC 5891). An underscore, which no host name
// has (RFC 1123 §2.1) but container networks do, stays: java.net.URI refuses it.
func hostOf(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if ip, ok := ipOf(text); ok {
		return ip, true
	}
	name := strings.TrimSuffix(text, ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", false
		}
		name = strings.TrimSuffix(ascii, ".")
	}
	if name == "" || len(name) > mostHost {
		return "", false
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !labelOK(l) {
			return "", false
		}
	}
	// else it is read as an IPv4 address, which it is not
	first := labels[len(labels)-1][0] | 0x20
	return name, first >= 'a' && first <= 'z'
}

func labelOK(l string) bool {
	if l == "" || len(l) > mostLabel || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(l, func(r rune) bool { return !alnum(r) && r != '-' && r != '_' })
}

// hostLabel makes a text one label of a host name.
func hostLabel(text string) string {
	l := strings.Map(func(r rune) rune {
		if alnum(r) {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	if l = strings.Trim(l[:min(len(l), mostLabel)], "-"); l == "" {
		return "x"
	}
	return l
}

// What java.net.URI, the strictest of the readers, takes in a path and a query beside
// letters and digits.
const (
	pathBytes  = "-_.!~*'():@&=+$,;/"
	queryBytes = pathBytes + "?"
)

// clean escapes what a URI cannot have, and leaves escapes as they are.
func clean(text, allowed string) string {
	hex := func(i int) bool {
		return i < len(text) && strings.IndexByte("0123456789abcdefABCDEF", text[i]) >= 0
	}
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c < 0x80 && alnum(rune(c)) || strings.IndexByte(allowed, c) >= 0 || c == '%' && hex(i+1) && hex(i+2) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteString(strings.ToUpper(string([]byte{"0123456789abcdef"[c>>4], "0123456789abcdef"[c&15]})))
	}
	return b.String()
}

func alnum(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
