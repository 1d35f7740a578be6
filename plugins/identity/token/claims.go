package token

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

func (c claims) has(name string) bool { return c[name] != nil }

// text is a claim that is a JSON string.
func (c claims) text(name string) (s string, is bool) {
	raw := c[name]
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// list is a claim that is a list of JSON strings.
func (c claims) list(name string) (words []string, is bool) {
	var items []json.RawMessage
	if raw := c[name]; len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, false
	}
	for _, item := range items {
		var word string
		if item[0] != '"' || json.Unmarshal(item, &word) != nil {
			return nil, false
		}
		words = append(words, word)
	}
	return words, true
}

// lastSecond is the end of the year 9999. Beyond it a time cannot be computed with.
const lastSecond = 253402300799

// date is a claim that is a NumericDate (RFC 7519 §2): seconds since 1970, maybe with a
// fraction.
func (c claims) date(name string) (at time.Time, is bool) {
	seconds, err := strconv.ParseFloat(string(c[name]), 64)
	if err != nil || !(seconds >= 0 && seconds <= lastSecond) {
		return time.Time{}, false
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)), true
}

// isFor says whether the audience is among those of the token (RFC 7519 §4.1.3).
func (c claims) isFor(audience string) bool {
	if one, is := c.text("aud"); is {
		return one == audience
	}
	all, _ := c.list("aud")
	return slices.Contains(all, audience)
}

// roles are the roles that a claim names, as a list or separated by spaces. A token without
// the claim has the role app. Names that are no roles of ours are left out, for issuers have
// others: a token with only such ones may do nothing.
func (c claims) roles(name string) (roles []string, ok bool) {
	if name == "" || !c.has(name) {
		return []string{conf.RoleApp}, true
	}
	words, isList := c.list(name)
	if !isList {
		text, isText := c.text(name)
		if !isText {
			return nil, false
		}
		words = strings.Fields(text)
	}
	for _, role := range conf.RoleNames() {
		if slices.Contains(words, role) {
			roles = append(roles, role)
		}
	}
	return roles, true
}

// apps are what a host acts for.
func (c claims) apps() (apps []string, ok bool) {
	apps, ok = c.list("apps")
	return apps, ok && len(apps) > 0 && !slices.ContainsFunc(apps, func(a string) bool { return !plugins.ValidApps(a) })
}

// address is a claim that is an IP address, in whichever form; not valid: it is none.
func (c claims) address(name string) *netip.Addr {
	text, _ := c.text(name)
	at, err := netip.ParseAddr(text)
	if err != nil {
		return &netip.Addr{}
	}
	at = at.Unmap()
	return &at
}

// thumbprint is the SHA-256 of the certificate to which the token is bound (RFC 8705 §3.1).
// A token that is bound to anything else is refused, for that cannot be checked here.
func (c claims) thumbprint() (sum []byte, ok bool) {
	if !c.has("cnf") {
		return nil, true
	}
	var confirmation claims
	if json.Unmarshal(c["cnf"], &confirmation) != nil || len(confirmation) != 1 {
		return nil, false
	}
	text, _ := confirmation.text("x5t#S256")
	sum, ok = decodeBase64(text)
	return sum, ok && len(sum) == thumbprintBytes
}
