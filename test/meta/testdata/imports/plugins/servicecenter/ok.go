// Package servicecenter knows what its fixture needs.
package servicecenter

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/plugins/servicecenter/etcd"
	_ "github.com/go-chassis/cari/discovery"
	_ "go.etcd.io/etcd/client/v3"
)
