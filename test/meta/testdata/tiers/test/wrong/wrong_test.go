package wrong

import "example.org/tiers/test/tier"

func TestMain(m *testing.M) { os.Exit(tier.Main(m, "test/held", "is copied", m.Run)) }
