package servicecenter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
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
