// Package conf knows what its fixture needs.
package conf

import (
	_ "go.yaml.in/yaml/v3"
)
