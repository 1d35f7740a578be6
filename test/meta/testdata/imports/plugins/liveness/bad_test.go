// Package liveness knows what its fixture needs.
package liveness

import (
	_ "go.etcd.io/etcd/client/v3"
)
