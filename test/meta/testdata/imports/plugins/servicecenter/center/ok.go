// Package center knows what its fixture needs.
package center

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/plugins/servicecenter/etcd"
	_ "example.org/own/name/plugins/servicecenter/etcd/quota"
	_ "example.org/own/name/plugins/servicecenter/keys"
	_ "github.com/go-chassis/cari/discovery"
	_ "go.etcd.io/etcd/client/v3"
)
