package held

import (
	"example.org/tiers/test/etcd"
	"example.org/tiers/test/tier"
)

func TestMain(m *testing.M) { os.Exit(tier.Main(m, "test/held", "starts etcd", m.Run)) }

func TestHeld(t *testing.T) { etcd.Start(t).Pause() }
