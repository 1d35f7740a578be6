// Package elsewhere knows what its fixture needs.
package elsewhere

import (
	_ "context"
)
