// Package liveness knows what its fixture needs.
package liveness

import (
	_ "example.org/own/name/mp1/server"
	_ "example.org/own/name/plugins"
	_ "example.org/own/name/plugins/liveness/inner"
	_ "github.com/prometheus/client_golang/prometheus"
)
