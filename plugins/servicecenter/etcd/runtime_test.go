package etcd

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRunTimeSurvivesItsProcessAndNothingTornIsBelieved(t *testing.T) {
	dir := t.TempDir()
	r := NewRunTime(dir)
	require.Zero(t, r.Load())
	r.Save(time.Second) // there is no store yet
	require.Zero(t, r.Load())
	require.NoError(t, os.Mkdir(Dir(dir), 0o700))
	for _, d := range []time.Duration{time.Second, 1 << 62, 17} {
		r.Save(d)
		require.Equal(t, d, NewRunTime(dir).Load())
	}
	for _, torn := range []string{"", "17", "0000000000000000017 00000000000000", "0000000000000000017 0000000000000000018\n", "-1 -1\n", "\x00\x00"} {
		require.NoError(t, os.WriteFile(r.file, []byte(torn), 0o600))
		require.Zero(t, r.Load(), "%q", torn)
	}
}
