package servicecenter

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// stops is a store that is cut off after some writes.
type stops struct {
	*store.Store
	left atomic.Int64
}

var errCutOff = errors.New("cut off")

func (s *stops) Commit(ctx context.Context, t *heartbeat.Txn) (heartbeat.Revision, error) {
	if s.left.Add(-1) < 0 { // many write at a time
		return 0, errCutOff
	}
	return s.Store.Commit(ctx, t)
}

// What was cut off may hold what the original has lost since: nobody was served from it, and
// all of it is written anew.
func TestHalfAnImportIsDoneAgainAsAWhole(t *testing.T) {
	t.Parallel()
	more, fewer, c := platform(t, 8), platform(t, 6), importConfig(t)
	s, _, closed := opened(t, c)
	cutOff(t, s, more, c)
	closed()

	said, err := imported(t, c, fewer, false)
	require.NoError(t, err)
	require.Contains(t, said, "services         6")
	s, client, _ := opened(t, c)
	listed, _, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, listed, 6)
	got, err := client.Get(t.Context(), keys.InstancePrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.EqualValues(t, 6, got.Count)
}

// cutOff leaves half an import in the store.
func cutOff(t *testing.T, s *store.Store, from string, c conf.Config) {
	t.Helper()
	require.NoError(t, s.CheckSchema(t.Context()))
	o := etcd.Options{DataDir: c.Store.DataDir, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
	all, err := source(from, c, o).Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.MarkImport(t.Context(), store.Import{Begun: 1}))
	half := &stops{Store: s}
	half.left.Store(7)
	require.ErrorIs(t, all.Write(t.Context(), half), errCutOff)
}

// Whoever moved the source away begins without it: nobody is served from half an import, and what
// is registered then stays when the source is back.
func TestHalfAnImportIsErasedBeforeAnybodyIsServed(t *testing.T) {
	t.Parallel()
	from, c := platform(t, 8), importConfig(t)
	s, client, closed := opened(t, c)
	o := etcd.Options{DataDir: c.Store.DataDir, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
	start := func(from string, o etcd.Options) error {
		h := &plugins.Host{Config: c, Log: etcdtest.Discard}
		h.Config.EdgeGallery.ImportFrom = from
		return importAtStart(t.Context(), h, s, o)
	}
	for _, gone := range []string{"", t.TempDir()} {
		cutOff(t, s, from, c)
		remote := o
		remote.Cluster = &etcd.Remote{}
		require.ErrorContains(t, start(gone, remote), "not at its end", "others may be importing into the cluster")
		require.NoError(t, start(gone, o))
		done, used, err := s.Imported(t.Context())
		require.NoError(t, err)
		require.False(t, used || done != nil)
		left, err := client.Get(t.Context(), keys.InstancePrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		require.Zero(t, left.Count)
	}
	mine, _ := storetest.Register(t, s, "app-of-its-own")
	kept := func() {
		t.Helper()
		got, err := s.Read(t.Context(), mine.ID)
		require.NoError(t, err)
		require.True(t, got.Exists())
	}
	require.NoError(t, start(from, o))
	kept()
	// A release that does not know the mark has served from half an import.
	require.NoError(t, s.MarkImport(t.Context(), store.Import{Begun: 1}))
	require.NoError(t, start(from, o))
	require.NoError(t, start("", o))
	kept()
	closed()
	_, err := imported(t, c, from, false)
	require.ErrorContains(t, err, "the store holds services or other things already")
}

// Where the source is lost for good, what was cut off can be erased, and nothing else.
func TestHalfAnImportCanBeDiscardedByCommand(t *testing.T) {
	t.Parallel()
	from, c := platform(t, 8), importConfig(t)
	discard := func() (string, error) {
		var out strings.Builder
		err := DiscardImport(t.Context(), c, etcdtest.Discard, &out, func(why string) { t.Error(why) })
		return out.String(), err
	}
	_, err := discard()
	require.ErrorContains(t, err, "there is no store in")
	s, _, closed := opened(t, c)
	cutOff(t, s, from, c)
	closed()
	said, err := discard()
	require.NoError(t, err)
	require.Contains(t, said, "erased what an import of 1970-01-01T00:00:00Z from ")
	_, err = discard()
	require.ErrorContains(t, err, "no import was cut off there")
	_, err = imported(t, c, from, false)
	require.NoError(t, err, "the store is new")
	_, err = discard()
	require.ErrorContains(t, err, "no import was cut off there", "this one came to its end")

	c = importConfig(t)
	s, _, closed = opened(t, c)
	cutOff(t, s, from, c)
	mine, _ := storetest.Register(t, s, "app-of-its-own")
	closed()
	_, err = discard()
	require.ErrorContains(t, err, "something was registered since")
	s, _, _ = opened(t, c)
	got, err := s.Read(t.Context(), mine.ID)
	require.NoError(t, err)
	require.True(t, got.Exists())
}
