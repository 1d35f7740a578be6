// Package servicecenter knows what its fixture needs.
package servicecenter

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/plugins/servicecenter/center"
	_ "example.org/own/name/plugins/servicecenter/etcd"
	_ "example.org/own/name/plugins/servicecenter/store"
	_ "go.etcd.io/etcd/api/v3/mvccpb"
)
