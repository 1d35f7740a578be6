package mp1

// IDForm is the form of an id in words: it follows "must be" in what refuses one.
const IDForm = "1 to 128 letters, digits, dots, underscores and hyphens, the first a letter or digit"

// ValidID reports whether s may be an appInstanceId, a serviceId or a subscriptionId: a
// letter or digit, then up to 127 letters, digits, dots, underscores or hyphens, all of
// them ASCII. MEC 011 allows any string, but one that had to be escaped in a path, in a
// key of the store or in a log could be read as another.
func ValidID(s string) bool {
	const longest = 128
	if s == "" || len(s) > longest {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// CheckID returns an *Invalid that names the attribute if the id may not be one.
func CheckID(attribute, id string) error {
	if !ValidID(id) {
		return &Invalid{attribute, "must be " + IDForm}
	}
	return nil
}
