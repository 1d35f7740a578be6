// Package chassis knows and must not know.
package chassis

import (
	_ "example.org/own/name/heartbeat"
	_ "github.com/go-chassis/cari/discovery"
	_ "github.com/go-chassis/go-chassis/v2/core/registry"
	_ "github.com/go-chassis/go-chassis/v2/core/server"
)
