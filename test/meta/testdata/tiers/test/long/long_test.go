package long

import (
	"syscall"

	lengthy "example.org/tiers/test/tier"
)

func TestLong(t *testing.T) {
	lengthy.Long(t, "test/long", "pauses")
	kill(syscall.SIGSTOP)
}

func TestThatForgot(t *testing.T) { kill(syscall.SIGSTOP) }
