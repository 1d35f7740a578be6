//go:build !linux

package appsupport

import "errors"

// synchronised cannot be answered: only Linux is asked.
func synchronised() (bool, error) {
	return false, errors.New("the system is not Linux")
}
