// Package conf knows what its fixture needs.
package conf

import (
	_ "example.org/own/name/mp1"
	_ "gopkg.in/yaml.v3"
)
