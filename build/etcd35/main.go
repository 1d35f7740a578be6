// Command etcd is the stock etcd server of the release line before the current one, built from its
// module for the tests. It must know nothing of this project.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
