// Package mp1_test knows what its fixture needs.
package mp1_test

import (
	_ "example.org/own/name/mp1"
	_ "github.com/stretchr/testify/assert"
	_ "net/http"
)
