// Package client knows what its fixture needs.
package client

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/mp1/server"
)
