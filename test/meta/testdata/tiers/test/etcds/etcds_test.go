package etcds

import "example.org/tiers/test/etcd"

func TestIt(t *testing.T) { etcd.Start(t) }
