// Package server knows what its fixture needs.
package server

import (
	_ "example.org/own/name/conf"
	_ "example.org/own/name/plugins/liveness"
	_ "github.com/go-chassis/openlog"
)
