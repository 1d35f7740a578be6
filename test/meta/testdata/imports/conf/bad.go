// Package conf knows what its fixture needs.
package conf

import (
	_ "example.org/own/name/heartbeat"
	_ "gopkg.in/yaml.v3"
)
