package plugins

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNoInstantIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		at, wall := clock()
		require.Positive(t, at, "also where time stands still")
		require.Equal(t, time.Now().UnixNano(), wall)
		time.Sleep(time.Second)
		later, _ := clock()
		require.Equal(t, time.Second, later-at)
	})
}
