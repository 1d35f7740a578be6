// Package plugins knows what its fixture needs.
package plugins

import (
	_ "example.org/own/name/conf"
	_ "example.org/own/name/plugins/liveness"
)
