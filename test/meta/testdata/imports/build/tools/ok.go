// Package tools knows what its fixture needs.
package tools

import (
	_ "github.com/x/y"
	_ "net/http"
)
