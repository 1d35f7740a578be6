// Package ignored knows what its fixture needs.
package ignored

import (
	_ "github.com/x/y"
)
