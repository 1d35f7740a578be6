package datadir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// logOf is a log of several segments.
func logOf(t *testing.T) []segment {
	t.Helper()
	size := wal.SegmentSizeBytes
	wal.SegmentSizeBytes = 64 << 10
	defer func() { wal.SegmentSizeBytes = size }()
	dir := t.TempDir()
	e, c := open(t, dir, "mep")
	for i := range 500 {
		_, err := c.Put(t.Context(), fmt.Sprint("/k/", i), strings.Repeat("v", 10+i%7*100))
		require.NoError(t, err)
	}
	_ = c.Close()
	e.Close()
	all, err := segmentsIn(filepath.Join(dir, "member", "wal"))
	require.NoError(t, err)
	require.Greater(t, len(all), 2)
	return all
}

// readSlowly is readLog by etcd's decoder alone.
func readSlowly(t *testing.T, segments []segment) (*log, error) {
	t.Helper()
	l := &log{segments: segments, snapshots: map[uint64]uint64{}}
	for i, s := range segments {
		f, err := os.Open(s.path)
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		l.bytes += info.Size()
		err = l.readByEtcd(s, f, i == 0, i == len(segments)-1)
		require.NoError(t, f.Close())
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// What is wrong with a log, and whether anything is, etcd's own decoder says: it decides about it at the start.
func TestALogThatIsReadQuicklyIsReadAlike(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	segments := logOf(t)
	var wholes [][]byte
	for _, s := range segments {
		whole, err := os.ReadFile(s.path)
		require.NoError(t, err)
		wholes = append(wholes, whole)
	}
	alike := func(what string) (sound bool) {
		want, wantErr := readSlowly(t, segments)
		got, err := readLog(segments)
		require.Equal(t, wantErr, err, what)
		if want != nil {
			want.data, got.data = nil, nil
		}
		require.Equal(t, want, got, what)
		return err == nil
	}
	require.True(t, alike("as it was written"))
	harms := map[string]func(b []byte) []byte{
		"a byte is changed":      func(b []byte) []byte { b[random.IntN(len(b))] ^= byte(1 + random.IntN(255)); return b },
		"it is cut off":          func(b []byte) []byte { return b[:random.IntN(len(b))] },
		"a sector is zeroes":     func(b []byte) []byte { at := random.IntN(len(b)/512) * 512; clear(b[at:min(at+512, len(b))]); return b },
		"it ends in zeroes":      func(b []byte) []byte { clear(b[random.IntN(len(b)):]); return b },
		"garbage stands behind":  func(b []byte) []byte { return append(b, b[random.IntN(len(b)):]...) },
		"it is another one":      func([]byte) []byte { return wholes[random.IntN(len(wholes))] },
		"a part stands in twice": func(b []byte) []byte { at := random.IntN(len(b)); return append(b[:at:at], b[at/2:]...) },
	}
	sound := 0
	for range 12 {
		for what, harm := range harms {
			n := random.IntN(len(segments))
			require.NoError(t, os.WriteFile(segments[n].path, harm(slices.Clone(wholes[n])), 0o600))
			if alike(fmt.Sprint("segment ", n, ": ", what)) {
				sound++
			}
			require.NoError(t, os.WriteFile(segments[n].path, wholes[n], 0o600))
		}
	}
	require.Positive(t, sound, "a log that ends in the middle of a record is none of a fault")
	require.Less(t, sound, 12*len(harms))
	require.NoError(t, os.WriteFile(segments[1].path, wholes[0], 0o600))
	_, err := readLog(segments)
	require.ErrorContains(t, err, "it does not follow the segment before it")
}

// A start reads some hundred megabytes of log.
func TestALogIsReadIntoTheSameMemory(t *testing.T) {
	segments := logOf(t)
	l, err := readLog(segments)
	require.NoError(t, err)
	require.Greater(t, l.last, uint64(450))
	allocations := testing.AllocsPerRun(5, func() {
		_, err := readLog(segments)
		require.NoError(t, err)
	})
	require.Less(t, allocations, float64(l.last)/4)
}
