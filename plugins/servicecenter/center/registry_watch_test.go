package center

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

func TestAnIdleCacheGoesOnBehindACompaction(t *testing.T) {
	var n etcd.Readers
	rs := resumes{needed: &n}
	r, from := rs.from("/a/", 6)
	require.EqualValues(t, 6, from, "the first watch begins where it asks")
	rs.handed(r, 500, false)
	require.EqualValues(t, 500, n.Oldest(), "what it has not seen yet must be kept")
	_, from = rs.from("/a/", 6)
	require.EqualValues(t, 501, from, "nothing happened in between, as far as it was told")
	rs.handed(r, 700, true)
	rs.handed(r, 900, false)
	_, from = rs.from("/a/", 701)
	require.EqualValues(t, 901, from)
	_, from = rs.from("/a/", 951)
	require.EqualValues(t, 951, from, "it listed anew")
	r, from = rs.from("/a/", 701)
	require.EqualValues(t, 701, from, "an event that it wants again is given again")
	rs.handed(r, 800, false)
	_, from = rs.from("/b/", 301)
	require.EqualValues(t, 301, from, "each range for itself")
	require.EqualValues(t, 300, n.Oldest())
}
