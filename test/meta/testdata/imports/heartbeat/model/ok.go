// Package model knows what its fixture needs.
package model

import (
	_ "example.org/own/name/heartbeat"
)
