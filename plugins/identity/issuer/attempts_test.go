package issuer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheWaitOfAnAttemptIsExact(t *testing.T) {
	a, now := newAttempts(2, 3), time.Now()
	for range 3 {
		require.Zero(t, a.take(now, "x"))
	}
	require.Equal(t, 500*time.Millisecond, a.take(now, "x"))
	require.Equal(t, 500*time.Millisecond, a.take(now, "x"), "what is refused counts nothing")
	require.Equal(t, 500*time.Millisecond, a.take(now, "y", "x"), "nor for the others")
	for range 3 {
		require.Zero(t, a.take(now, "y"))
	}
	require.Zero(t, a.take(now.Add(500*time.Millisecond), "x"))
	require.Positive(t, a.take(now.Add(500*time.Millisecond), "x"))
}

// Names are the callers' choice: they must not fill the memory, nor be a way around.
func TestMadeUpNamesTakeNoMemoryAndShareOneAllowance(t *testing.T) {
	a, now := newAttempts(1, 2), time.Now()
	passed := 0
	for i := range 3 * maxNames {
		if a.take(now, fmt.Sprint(i)) == 0 {
			passed++
		}
	}
	require.Equal(t, maxNames+2, passed)
	require.Len(t, a.by, maxNames)
	require.Zero(t, a.take(now, "0"), "who is known keeps his own")
	require.Zero(t, a.take(now.Add(time.Minute), "late"))
	require.Len(t, a.by, 1, "what is full again is forgotten")
}

func TestAnAddressIsAHost(t *testing.T) {
	for _, same := range [][2]string{{"192.0.2.1:1", "192.0.2.1:2"}, {"[2001:db8::1]:1", "[2001:db8::2:3]:4"}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:9"}} {
		require.Equal(t, addressOf(same[0]), addressOf(same[1]))
	}
	require.NotEqual(t, addressOf("[2001:db8:0:1::1]:1"), addressOf("[2001:db8:0:2::1]:1"))
	require.NotEqual(t, addressOf("192.0.2.1:1"), addressOf("192.0.2.2:1"))
}
