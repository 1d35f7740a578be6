package uncalled

import "example.org/tiers/test/tier"

func TestMain(m *testing.M) { os.Exit(tier.Main(m, "test/uncalled", "is forgotten", m.Run)) }
