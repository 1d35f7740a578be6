package etcd

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A start ended the process where thousands of entries of the log were to apply: etcd had given up entries that
// an election which we asked for still read (2 of 900 starts on a busy machine, so that this test alone would
// rarely have met it). Elections come by time alone now. What is applied again must be as it was.
func TestAStartAppliesManyEntriesOfTheLogAgain(t *testing.T) {
	dir := t.TempDir()
	c, _ := opened(t, dir)
	for i := range snapshotCount - 100 { // with a snapshot they would not be applied
		_, err := c.Put(t.Context(), fmt.Sprintf("/mep/x/%d", i%10), "x")
		require.NoError(t, err)
	}
	c.Close()
	for range 20 {
		c, _ := opened(t, dir)
		got, err := c.Get(t.Context(), "/mep/x/9")
		require.NoError(t, err)
		require.EqualValues(t, (snapshotCount-100)/10, got.Kvs[0].Version)
		c.Close()
	}
}
