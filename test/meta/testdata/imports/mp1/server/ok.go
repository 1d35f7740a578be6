// Package server knows what its fixture needs.
package server

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/mp1"
	_ "net/http"
)
