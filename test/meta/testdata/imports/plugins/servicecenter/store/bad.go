// Package store knows what its fixture needs.
package store

import (
	_ "example.org/own/name/plugins/liveness"
	_ "example.org/own/name/plugins/servicecenter/center"
	_ "go.uber.org/zap"
)
