package servicecenter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// A configuration that needs shorter leases than the store grants is refused.
func TestAWindowThatTheStoreCannotKeepIsRefused(t *testing.T) {
	const least = 8
	config := conf.Default()
	require.NoError(t, longEnough(config, least), "5 s × 3")
	config.Liveness.AllowedMisses = 0
	require.ErrorContains(t, longEnough(config, least), "grants no lease below 8s")
	require.ErrorContains(t, longEnough(config, least), "an interval of 5s with liveness.allowedMisses 0 needs one of 5s")
	config.Derived.FixedInterval = time.Minute
	require.NoError(t, longEnough(config, least), "no application is given less than 30 s")
}

// A start reads the segments of the log three times, and etcd's own hold 64 MB each.
func TestTheLogIsKeptInSmallSegments(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(etcd.Dir(dataDir), "member", "wal", "*.wal"))
	require.NoError(t, err)
	require.NotEmpty(t, all)
	info, err := os.Stat(all[len(all)-1])
	require.NoError(t, err)
	require.EqualValues(t, 8<<20, info.Size(), "it is made as long as it may become")
}
