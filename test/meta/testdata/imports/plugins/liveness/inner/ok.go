// Package inner knows what its fixture needs.
package inner

import (
	_ "context"
)
