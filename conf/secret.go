package conf

// Secret is text that must not be shown. It comes from the environment only.
type Secret string

const hidden = "(secret)"

// String hides it from logs and from %v.
func (Secret) String() string { return hidden }

// GoString hides it from %#v.
func (Secret) GoString() string { return hidden }

// MarshalText hides it from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }
