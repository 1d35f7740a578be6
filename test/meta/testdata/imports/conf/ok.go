// Package conf knows what its fixture needs.
package conf

import (
	_ "example.org/own/name/mp1"
	_ "go.yaml.in/yaml/v3"
)
