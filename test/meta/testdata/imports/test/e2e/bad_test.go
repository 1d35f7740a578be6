// Package e2e knows what its fixture needs.
package e2e

import (
	_ "example.org/own/name/heartbeat"
	_ "example.org/own/name/mp1/client"
	_ "example.org/own/name/test/helper"
	_ "go.etcd.io/etcd/client/v3"
	_ "os/exec"
)
