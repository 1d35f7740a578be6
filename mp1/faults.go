package mp1

import (
	"errors"
	"strings"
)

// Faults is the error of a body or description that breaks one or more rules: all of them,
// in the order of the members. Each member is named once at most for itself, so there are
// few. errors.As finds the first *Invalid.
type Faults []*Invalid

// Error has all faults on one line.
func (f Faults) Error() string {
	texts := make([]string, len(f))
	for i, one := range f {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap makes the faults known to errors.As.
func (f Faults) Unwrap() []error {
	out := make([]error, len(f))
	for i, one := range f {
		out[i] = one
	}
	return out
}

// add adds an error, which is nil, *Invalid or Faults.
func (f *Faults) add(err error) {
	if err == nil {
		return // before what errors.As needs is allocated: a body has dozens of members without a fault
	}
	var all Faults
	var one *Invalid
	switch {
	case errors.As(err, &all):
		*f = append(*f, all...)
	case errors.As(err, &one):
		*f = append(*f, one)
	}
}

// err is nil if there is no fault; Faults(nil) in an error would not be.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// in reports whether one of the faults is of this attribute or of a member below it.
func (f Faults) in(attribute string) bool {
	for _, one := range f {
		if one.Attribute == attribute || strings.HasPrefix(one.Attribute, attribute+".") {
			return true
		}
	}
	return false
}
