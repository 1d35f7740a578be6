package etcd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// After a restart of etcd a dead service looked freshly heard: the moment of the restart
// was told as that of its last heartbeat.
func TestTheAgeOfALeaseCountsWithinAKnownTermOnly(t *testing.T) {
	const s = time.Second
	var at term
	start := time.Now()
	for _, c := range []struct {
		name    string
		term    uint64
		after   time.Duration // since the start
		granted time.Duration
		left    time.Duration
		age     time.Duration // -1: unknown
	}{
		{"the first answer", 2, 0, 15 * s, 15 * s, -1},
		{"extended before the term was known", 2, 5 * s, 15 * s, 10 * s, -1},
		{"while the leader may still take over", 2, 6 * s, 15 * s, 10*s + 1, -1},
		{"renewed since", 2, 7 * s, 15 * s, 10 * s, 5 * s},
		{"renewed just now", 2, 60 * s, 15 * s, 15 * s, 0},
		{"longer than granted", 2, 61 * s, 15 * s, 16 * s, -1},
		{"older than the term is known", 2, 62 * s, 300 * s, 200 * s, -1},
		{"another leader", 3, 70 * s, 15 * s, 14 * s, -1},
		{"a member that is behind", 2, 80 * s, 15 * s, 14 * s, -1},
		{"renewed under it", 3, 80 * s, 15 * s, 7 * s, 8 * s},
	} {
		age, err := at.ageOf(c.term, c.granted, c.left, start.Add(c.after))
		if c.age < 0 {
			require.ErrorIs(t, err, errExtended, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.age, age, c.name)
	}
}

func TestTheAgeOfALeaseIsAskedOfEtcd(t *testing.T) {
	c, _ := opened(t, t.TempDir())
	defer c.Close()
	l, err := c.GrantLease(t.Context(), 60)
	require.NoError(t, err)
	_, err = c.Head(t.Context())
	require.NoError(t, err)
	c.term.since = c.term.since.Add(-time.Hour) // etcd has been running for long
	age, err := c.LeaseAge(t.Context(), l)
	require.NoError(t, err)
	require.LessOrEqual(t, age, 60*time.Second)
	require.NoError(t, c.RevokeLease(t.Context(), l))
	_, err = c.LeaseAge(t.Context(), l)
	require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
}
