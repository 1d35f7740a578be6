package servicecenter

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// What the commands check, backup and restore do with a store that no server uses.

// Check examines the embedded store in a directory that no server uses, as far as its
// start does and beyond, and writes a short report. It changes nothing. An error is one
// line: the store is not sound, or cannot be looked at.
func Check(dataDir string, out io.Writer) error {
	c := store.Contents{States: map[heartbeat.State]int{}}
	r, h, err := etcd.Inspect(dataDir, c.Add)
	if err != nil {
		return err
	}
	all := 0
	for _, n := range c.States {
		all += n
	}
	fmt.Fprintf(out, "store in %s\n"+
		"  database       %s, %s in use; revision %d, history from %d on, %d keys\n"+
		"  log            %d segments, %s, up to entry %d; the database holds %d\n"+
		"  services       %d: %d ACTIVE, %d SUSPENDED, %d INACTIVE\n"+
		"  applications   %d registered; %d subscriptions, %d events\n"+
		"  ServiceComb    %d microservices, %d instances\n",
		dataDir, quota.Bytes(r.Size), quota.Bytes(r.InUse), h.Revision, max(h.Compacted, 1), h.Keys,
		r.Segments, quota.Bytes(r.LogBytes), r.LastEntry, r.Applied,
		all, c.States[heartbeat.Active], c.States[heartbeat.Suspended], c.States[heartbeat.Inactive],
		c.Applications, c.Subscriptions, c.Events, c.Services, c.Instances)
	if c.Unreadable > 0 {
		return fmt.Errorf("the files of the store in %s are sound, but %d of its values cannot be read, the first at %s; they are left out, alone", dataDir, c.Unreadable, plugins.Clean(c.First))
	}
	fmt.Fprintln(out, "  it is sound")
	return nil
}

// OfflineBackup is the backup of a store that no server uses: it is opened for it, and
// closed by Close. fail is as in plugins.Host.
func OfflineBackup(ctx context.Context, dataDir string, quota int64, log openlog.Logger, fail func(why string)) (backup io.ReadCloser, size int64, err error) {
	return etcd.OfflineBackup(ctx, dataDir, quota, log, fail)
}

// BackupTarget says why a backup of the store in dataDir cannot be written to a file.
func BackupTarget(file string, force bool, dataDir string) error {
	return datadir.Target(file, force, dataDir)
}

// SaveBackup writes a backup that is size bytes long to a file, and shows on progress
// how far it is if that takes long.
func SaveBackup(ctx context.Context, file string, force bool, from io.Reader, size int64, progress io.Writer) error {
	return datadir.SaveBackup(ctx, file, force, from, show(progress, "backup", size))
}

const showEvery = 2 * time.Second

// show tells how far something is, every two seconds.
func show(out io.Writer, what string, size int64) func(int64) {
	last := time.Now()
	return func(done int64) {
		if time.Since(last) < showEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(out, "%s: %s of %s\n", what, quota.Bytes(done), quota.Bytes(max(size, done)))
	}
}

// Restore makes the embedded store in dataDir of a backup. dataDir may hold nothing, and
// no server may use it. What a restore that was killed has left is removed. fail is as in
// plugins.Host.
func Restore(ctx context.Context, file, dataDir string, progress, out io.Writer, fail func(why string)) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	c := store.Contents{States: map[heartbeat.State]int{}}
	var schema []byte
	now := time.Now()
	restored := datadir.Restored{Key: keys.Restored, At: now, Value: func(revision int64) []byte { return restoredAt(now, revision) }}
	h, err := etcd.RestoreBackup(ctx, file, dataDir, restored, show(progress, "restore", info.Size()), fail,
		func(kv *mvccpb.KeyValue) {
			if string(kv.Key) == keys.Cluster {
				schema = kv.Value
			}
			c.Add(kv)
		}, func() error { return knownSchema(file, schema) })
	if err != nil {
		return err
	}
	all := 0
	for _, n := range c.States {
		all += n
	}
	fmt.Fprintf(out, "restored %s from %s: %d services, %d subscriptions; revision %d became %d\n",
		dataDir, file, all, c.Subscriptions, h.Revision, restored.Revision(h.Revision))
	return nil
}

func restoredAt(at time.Time, revision int64) []byte {
	b, err := json.Marshal(map[string]int64{"at": at.UnixNano(), "revision": revision})
	if err != nil { // plain numbers: cannot happen
		return []byte("{}")
	}
	return b
}

func knownSchema(file string, schema []byte) error {
	switch want := store.ClusterValue(); {
	case schema == nil:
		return fmt.Errorf("%s is no backup of mepserver's store: %s is not in it", file, keys.Cluster)
	case string(schema) != want:
		return fmt.Errorf("%s was written by another version of this program: %s does not hold schema %d", file, keys.Cluster, heartbeat.Schema)
	}
	return nil
}
