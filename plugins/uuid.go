package plugins

import (
	"crypto/rand"
	"fmt"
)

// NewUUID is a random UUID (RFC 9562 §5.4), as MEC 011 recommends for identifiers and
// as EdgeGallery's clients expect them.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
