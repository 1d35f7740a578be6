// Package etcd knows what its fixture needs.
package etcd

import (
	_ "example.org/own/name/plugins/liveness"
	_ "example.org/own/name/plugins/servicecenter"
	_ "example.org/own/name/plugins/servicecenter/center"
	_ "example.org/own/name/plugins/servicecenter/store"
	_ "github.com/apache/servicecomb-service-center/server/core"
)
