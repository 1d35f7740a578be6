// Package heartbeat knows what its fixture needs.
package heartbeat

import (
	_ "example.org/own/name/mp1"
	_ "net/http/httptest"
)
