// Package main knows what its fixture needs.
package main

import (
	_ "example.org/own/name/mp1"
	_ "example.org/own/name/plugins/liveness"
	_ "example.org/own/name/test/helper"
	_ "example.org/own/name/test/pki"
)
