// Package mp1 knows what its fixture needs.
package mp1

import (
	_ "example.org/own/name/heartbeat"
	_ "github.com/stretchr/testify/assert"
	_ "net/http"
)
