package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Identity is what the member calls itself: what etcd is configured with.
type Identity struct {
	Name, URL, Token string
}

// cluster is the one-member cluster of that identity.
func (i Identity) cluster(lg *zap.Logger) (*membership.RaftCluster, error) {
	u, err := url.Parse(i.URL)
	if err != nil {
		return nil, err
	}
	return membership.NewClusterFromURLsMap(lg, i.Token, types.URLsMap{i.Name: {*u}})
}

// Member is its id, which follows from URL and token; 0: they are none.
func (i Identity) Member() uint64 {
	c, err := i.cluster(zap.NewNop())
	if err != nil {
		return 0
	}
	return uint64(c.MemberByName(i.Name).ID)
}

// Bump is by how much the revision is raised at a restore. Whatever was written after
// the backup is gone, and its revisions must not be given to anything else: somebody may
// have seen them. A thousand million is a year of thirty writes a second.
// One backup may be restored more than once, and what was written after the first restore is gone
// too: so the revision rises to the microseconds of the clock, if these are more.
const Bump = 1_000_000_000

// Restored describes the restore to who looks at the store: it is written as the newest
// revision.
type Restored struct {
	Key   string
	Value func(revision int64) []byte // of the backup
	At    time.Time                   // of the restore
	Log   *zap.Logger                 // etcd's: it panics or ends the process at what it cannot write, on a goroutine of its own too
}

// Revision is what the newest revision of a backup becomes.
func (r Restored) Revision(of int64) int64 { return max(of+Bump, r.At.UnixMicro()) }

// Restore makes a directory of etcd of a backup. dir must not exist; it appears when it
// is complete and was checked, or not at all. look is called for every key before, and
// then accept, whose error refuses the backup.
func Restore(ctx context.Context, file, dir string, id Identity, r Restored, progress func(int64),
	look func(*mvccpb.KeyValue), accept func() error) (h History, err error) {
	if _, err := os.Lstat(dir); err == nil {
		return h, fmt.Errorf("%s exists", dir)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), leftPrefix(dir)+"*")
	if err != nil {
		return h, err
	}
	defer func() { _ = os.RemoveAll(temp) }() // it has another name by then, or is of no use
	p := pathsOf(temp)
	if err := os.MkdirAll(p.snap, 0o700); err != nil {
		return h, err
	}
	if err := unpack(ctx, file, p.db, progress); err != nil {
		return h, err
	}
	if h, err = Keys(temp, look); err != nil { // also walks all pages: bbolt may open it
		return h, fmt.Errorf("the backup %s: %w", file, err)
	}
	if err := accept(); err != nil {
		return h, err
	}
	if err := settle(r.Log, p, id, h, r); err != nil {
		return h, fmt.Errorf("cannot make a store of %s: %w", file, err)
	}
	if _, err := Check(temp); err != nil {
		return h, fmt.Errorf("the store made of %s: %w", file, err)
	}
	for _, d := range []string{p.snap, p.wal, filepath.Dir(p.snap), temp} {
		if err := syncDir(d); err != nil {
			return h, err
		}
	}
	if err := os.Rename(temp, dir); err != nil {
		return h, err
	}
	return h, syncDir(filepath.Dir(dir))
}

// leftPrefix is what the name of a directory begins with that is to become dir.
func leftPrefix(dir string) string { return "." + filepath.Base(dir) + ".restore-" }

// IsLeft says whether a name beside dir is that of a restore to dir, under way or killed.
func IsLeft(dir, name string) bool { return strings.HasPrefix(name, leftPrefix(dir)) }

// RemoveLeft removes what restores to dir have left that were killed. None may be under way.
func RemoveLeft(dir string) error {
	all, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return err
	}
	for _, e := range all {
		if IsLeft(dir, e.Name()) {
			if err := os.RemoveAll(filepath.Join(filepath.Dir(dir), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack copies the database out of a backup and checks its sum.
func unpack(ctx context.Context, file, db string, progress func(int64)) error {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file that could hold a backup", file)
	}
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // nothing was written
	to, err := os.OpenFile(db, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	sum := newSummed()
	if err := copyShowing(ctx, io.MultiWriter(to, sum), from, progress); err != nil {
		return err
	}
	if err := sum.whole(); err != nil {
		return fmt.Errorf("%s cannot be restored: %w", file, err)
	}
	return errors.Join(to.Truncate(sum.n-sumSize), to.Sync(), to.Close())
}

// settle gives the database a member, a log and a snapshot of its own, and raises its
// revision. etcd panics at what it cannot write.
func settle(lg *zap.Logger, p paths, id Identity, h History, r Restored) (err error) {
	defer func() {
		if f := recover(); f != nil {
			err = fmt.Errorf("%v", f)
		}
	}()
	cluster, err := id.cluster(lg)
	if err != nil {
		return err
	}
	be := backend.NewDefaultBackend(lg, p.db, backend.WithMmapSize(0))
	defer func() { err = errors.Join(err, be.Close()) }()
	if err := raise(be, h, r); err != nil {
		return err
	}
	members := schema.NewMembershipBackend(lg, be)
	if err := members.TrimMembershipFromBackend(); err != nil {
		return err
	}
	cluster.SetBackend(members)
	for _, m := range cluster.Members() {
		cluster.AddMember(m, true)
	}
	return begin(lg, p, be, cluster, cluster.MemberByName(id.Name))
}

// raise writes the newest revision, and has what went before compacted.
func raise(be backend.Backend, h History, r Restored) error {
	at := mvcc.BucketKey{Revision: mvcc.Revision{Main: r.Revision(h.Revision)}}
	value, err := (&mvccpb.KeyValue{Key: []byte(r.Key), Value: r.Value(h.Revision), CreateRevision: at.Main, ModRevision: at.Main, Version: 1}).Marshal()
	if err != nil {
		return err
	}
	tx := be.BatchTx()
	tx.LockOutsideApply()
	defer tx.Unlock()
	tx.UnsafePut(schema.Key, mvcc.BucketKeyToBytes(at, mvcc.NewRevBytes()), value)
	mvcc.UnsafeSetScheduledCompact(tx, at.Main)
	return nil
}

// begin writes the log that the member starts from: that it is the only one.
func begin(lg *zap.Logger, p paths, be backend.Backend, cluster *membership.RaftCluster, m *membership.Member) error {
	metadata, err := (&etcdserverpb.Metadata{NodeID: uint64(m.ID), ClusterID: uint64(cluster.ID())}).Marshal()
	if err != nil {
		return err
	}
	w, err := wal.Create(lg, p.wal, metadata)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // it syncs what it saves
	const index, term = 1, 1
	change := raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeID: uint64(m.ID), Context: []byte(fmt.Sprintf(`{"id":%d,"peerURLs":[%q],"name":%q}`, uint64(m.ID), m.PeerURLs[0], m.Name))}
	data, err := change.Marshal()
	if err != nil {
		return err
	}
	voters := raftpb.ConfState{Voters: []uint64{uint64(m.ID)}}
	err = w.Save(raftpb.HardState{Term: term, Vote: uint64(m.ID), Commit: index}, []raftpb.Entry{{Type: raftpb.EntryConfChange, Term: term, Index: index, Data: data}})
	if err != nil {
		return err
	}
	tx := be.BatchTx()
	tx.LockOutsideApply()
	schema.MustUnsafeSaveConfStateToBackend(lg, tx, &voters)
	schema.UnsafeUpdateConsistentIndexForce(tx, index, term)
	tx.Unlock()
	be.ForceCommit()
	err = snap.New(lg, p.snap).SaveSnap(raftpb.Snapshot{Data: etcdserver.GetMembershipInfoInV2Format(lg, cluster),
		Metadata: raftpb.SnapshotMetadata{Index: index, Term: term, ConfState: voters}})
	if err != nil {
		return err
	}
	return w.SaveSnapshot(walpb.Snapshot{Index: index, Term: term, ConfState: &voters})
}
