package plugins

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConnectionsLeaveFileDescriptorsToOthers(t *testing.T) {
	for _, c := range []struct {
		configured         int
		files              uint64
		connections, posts int
	}{
		{10000, 1 << 20, 10000, mostPosts}, {10000, 0, 10000, mostPosts}, {10000, 1 << 63, 10000, mostPosts}, {0, 0, 0, mostPosts}, {0, 1 << 20, 3 << 18, mostPosts},
		{10000, 10000, 7500, 1218}, {10000, 1024, 768, 96}, {10000, 600, 450, 43}, {10000, 200, 120, fewestPosts}, {100, 200, 100, fewestPosts},
		{10000, 64, fewestConns, fewestPosts}, {50, 64, fewestConns, fewestPosts},
	} {
		connections, posts := shareFiles(c.configured, c.files)
		require.Equal(t, c.connections, connections, "%+v", c)
		require.Equal(t, c.posts, posts, "%+v", c)
	}
	require.Positive(t, openFiles())
}

// Accepting, dialling and opening a file never fail for want of a descriptor, whatever the
// limit is, from the smallest on that leaves something for each.
func TestEveryFileDescriptorHasItsUser(t *testing.T) {
	const least = storeFiles + filesPerPost*fewestPosts + fewestConns
	for files := uint64(least); files < 1<<22; files += files/64 + 1 {
		connections, posts := shareFiles(0, files)
		require.LessOrEqual(t, connections+filesPerPost*posts+storeFiles, int(files), files)
		require.GreaterOrEqual(t, connections, fewestConns)
		require.GreaterOrEqual(t, posts, fewestPosts)
	}
}
