// Package center knows what its fixture needs.
package center

import (
	_ "example.org/own/name/plugins/servicecenter/etcd/etcdtest"
	_ "example.org/own/name/plugins/servicecenter/store"
)
