// Package mep knows what its fixture needs: what all tests share is no way into the program.
package mep

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/mp1"
	_ "example.org/own/name/test/helper"
)
