package heartbeat

import "testing"

func TestThatIsThere(t *testing.T) {}
