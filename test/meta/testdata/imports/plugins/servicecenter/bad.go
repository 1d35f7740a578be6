// Package servicecenter knows what its fixture needs.
package servicecenter

import (
	_ "example.org/own/name/plugins/liveness"
	_ "github.com/gin-gonic/gin"
)
