package server

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// etagOf is the strong entity tag (RFC 9110 §8.8.3) of a representation: equal bytes
// have equal tags, on every replica and after every restart.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// ifMatch evaluates the values of If-Match (RFC 9110 §13.1.1). A value that cannot be read
// matches nothing, so that a change is not made by mistake.
func ifMatch(values []string, etag string) bool {
	list := strings.TrimSpace(strings.Join(values, ","))
	if list == "*" {
		return true
	}
	found := false
	for list != "" {
		one := strings.TrimPrefix(list, "W/")
		end := strings.IndexByte(strings.TrimPrefix(one, `"`), '"')
		if !strings.HasPrefix(one, `"`) || end < 0 {
			return false
		}
		found = found || list[0] == '"' && one[:end+2] == etag // a weak one never matches strongly
		rest := strings.TrimSpace(one[end+2:])
		if rest != "" && rest[0] != ',' {
			return false
		}
		list = strings.TrimSpace(strings.TrimPrefix(rest, ","))
	}
	return found
}
