// Package liveness knows what its fixture needs.
package liveness

import (
	_ "example.org/own/name/mp1/client"
	_ "example.org/own/name/plugins/notify"
	_ "example.org/own/name/plugins/servicecenter/etcd"
	_ "github.com/apache/servicecomb-service-center/server/core"
)
