package mp1

import (
	"strings"
	"unicode"
)

// MaxDrainReason is how many characters the reason of a drain may have.
const MaxDrainReason = 256

// DrainRequest asks that a service be taken out of use. It is no type of MEC 011.
type DrainRequest struct {
	Reason string `json:"reason"` // for people: the application is told it, and the board shows it
}

// DecodeDrainRequest reads one. It has no other members. Its errors are *Invalid.
func DecodeDrainRequest(data []byte) (d DrainRequest, err error) {
	o, err := readDocument(data)
	if err != nil {
		return d, err
	}
	if err = o.refuseUnknown("reason"); err != nil {
		return d, err
	}
	if d.Reason, err = o.requiredText("reason", MaxDrainReason); err != nil {
		return d, err
	}
	if strings.TrimSpace(d.Reason) == "" || strings.ContainsFunc(d.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return d, &Invalid{"reason", "must be printable characters and not only spaces"}
	}
	return d, nil
}
