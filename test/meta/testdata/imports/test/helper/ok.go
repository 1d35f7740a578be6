// Package helper knows what its fixture needs.
package helper

import (
	_ "example.org/own/name/plugins/liveness"
	_ "go.etcd.io/etcd/client/v3"
)
