package driver

import "fmt"

// Refusal is an error of Set: the name is not served, what was served for it is removed, and to
// ask again changes nothing for as long as the settings are as they are.
type Refusal struct {
	Reason string // as that of other errors of Set
}

// Error implements error.
func (r Refusal) Error() string { return r.Reason }

// Refusals is an error of SetAll: these names are left out, and all others are served.
type Refusals map[Name]Refusal

// Error implements error.
func (r Refusals) Error() string { return fmt.Sprintf("%d names are left out", len(r)) }
