// Package agent knows what its fixture needs.
package agent

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/mp1/server"
	_ "example.org/own/name/plugins"
	_ "golang.org/x/oauth2"
)
