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
	ok := ^uint64(0) // its lowest bit: all bytes so far may be there; digits and letters alternate, so it is not branched by them
	for i := range len(s) {
		ok &= idBytes[s[i]>>6] >> (s[i] & 63)
	}
	return ok&1 == 1 && s[0] != '.' && s[0] != '_' && s[0] != '-'
}

// idBytes has a bit for each byte that an id may have.
var idBytes = [4]uint64{
	1<<'-' | 1<<'.' | (1<<10-1)<<'0',
	(1<<26-1)<<('A'-64) | 1<<('_'-64) | (1<<26-1)<<('a'-64),
}

// CheckID returns an *Invalid that names the attribute if the id may not be one.
func CheckID(attribute, id string) error {
	if !ValidID(id) {
		return &Invalid{attribute, "must be " + IDForm}
	}
	return nil
}
