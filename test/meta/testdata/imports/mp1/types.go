// Package mp1 knows what its fixture needs.
package mp1

import (
	_ "encoding/json"
	_ "time"
)
