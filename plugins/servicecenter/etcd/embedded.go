package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-chassis/openlog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"github.com/mec-liveness/mepserver/plugins/filesystem"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
)

const (
	// The only member elects itself when up to ElectionMs have gone by after a start, in which nobody is
	// served. It is not made to at once: a message from outside may meet entries that etcd has applied and given up.
	embeddedTickMs     = 20
	embeddedElectionMs = 5 * embeddedTickMs // no fewer ticks are taken; leases from 1 s on
	startTimeout       = 60 * time.Second

	// The log of raft is kept in memory too, for followers that lag. There are none, and
	// entries may be hundreds of kilobytes large.
	catchUp       = 16
	snapshotCount = 2500
	// A start reads all segments of the log. The one with the newest snapshot, and all after it, are
	// kept in any case; those before them lead back to an older snapshot if that cannot be read: the
	// entries of one to the next take two segments while services register.
	keptSegments = 5
	// segmentBytes is the size of a segment. A start reads what is kept of them three times:
	// etcd's own are eight times as large, and most of one lies behind the newest snapshot.
	segmentBytes  = 8 << 20
	progressEvery = 5 * time.Second // else nobody knows which history an idle watch still needs
)

// identity is the embedded member's. It must never change: the ids of member and cluster
// follow from it, and etcd refuses a directory of another.
var identity = datadir.Identity{Name: "mep", URL: "http://127.0.0.1:1", Token: "etcd-cluster"}

// alarmAt is the size of the file from which etcd takes no writes. A file that is larger
// already (the quota was lowered) must leave room for what frees.
func alarmAt(limit int64, file string) int64 {
	at := alarmFactor*limit + alarmRoom
	if info, err := os.Stat(file); err == nil {
		at = max(at, info.Size()/4*5+alarmRoom)
	}
	return at
}

func (c *Client) openEmbedded(ctx context.Context, o Options) (err error) {
	if c.lock, err = LockDir(o.DataDir); err != nil {
		return err
	}
	if i, err := filesystem.Of(o.DataDir); err == nil {
		warnOfNetwork(o.Log, i, o.DataDir)
	}
	kept := o.Early.keep()
	found, err := checkDir(o.DataDir, kept)
	if err == nil && found.CutShort != "" { // nothing was ever written: begin anew
		err = os.RemoveAll(found.CutShort)
	}
	if err != nil {
		c.Close()
		return err
	}
	go o.Early.take(kept)
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialClusterToken = identity.Name, Dir(o.DataDir), identity.Token
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil // no socket: nobody but this process reaches it
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	cfg.AdvertisePeerUrls = cfg.AdvertiseClientUrls
	cfg.InitialCluster = cfg.Name + "=" + cfg.AdvertisePeerUrls[0].String()
	cfg.TickMs, cfg.ElectionMs = embeddedTickMs, embeddedElectionMs
	cfg.AutoCompactionRetention = "0" // etcd's compactor forgets at each restart when it was due
	cfg.SnapshotCatchUpEntries, cfg.SnapshotCount, cfg.MaxWalFiles = catchUp, snapshotCount, keptSegments
	cfg.WatchProgressNotifyInterval = progressEvery
	cfg.QuotaBackendBytes = alarmAt(o.Quota, filepath.Join(cfg.Dir, "member", "snap", "db"))
	last := &startLog{zapSink: zapSink{o.Repeats}, dir: o.DataDir, fail: o.Fail}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(last.logger())
	if c.etcd, err = startEtcd(cfg); err != nil {
		c.Close()
		return storeFault("cannot open the store", o.DataDir, err)
	}
	last.open()
	select {
	case <-c.etcd.Server.ReadyNotify():
	case err = <-c.etcd.Err():
	case <-c.etcd.Server.StopNotify():
		err = errors.New("it stopped")
	case <-time.After(startTimeout):
		err = errors.New("it was not ready in a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return fmt.Errorf("cannot start the store in %s: %w", o.DataDir, err)
	}
	c.Client = v3client.New(c.etcd.Server)
	c.lessor = etcdLessor(c.etcd.Server)
	c.calls = newCalls(maxCalls)
	bind(c.Client, c.calls, c.lessor)
	go c.lessor.keepReservations(func(ctx context.Context, id lease.LeaseID) error {
		_, err := c.Revoke(ctx, clientv3.LeaseID(id))
		return err
	})
	c.upkeep = newUpkeep(c.etcd.Server, c.Client, o.Quota, c.Readers.Oldest, o.Log)
	c.Gate = c.upkeep.gate
	c.upkeep.start(ctx)
	return nil
}

// SmallSegments has stores that are opened from now on keep their logs in segments that are quickly read. It is
// a setting of etcd for the whole process, and must be made before the first store is opened.
func SmallSegments() {
	if wal.SegmentSizeBytes != segmentBytes { // a store that runs may be reading it
		wal.SegmentSizeBytes = segmentBytes
	}
}

// warnOfNetwork says what is at stake on a file system of another machine.
func warnOfNetwork(log openlog.Logger, i filesystem.Info, dir string) {
	if i.Remote {
		log.Warn("the store is on a network file system: what was acknowledged may be lost with that server, two servers may take its lock, and a slow one delays every registration; use a volume of a block device",
			openlog.WithTags(openlog.Tags{"kind": i.Kind, "data": dir}))
	}
}

// lockExisting makes a data directory ours that must exist, and changes nothing in it.
func lockExisting(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDONLY|syscall.O_NONBLOCK, 0) // it waits for nobody, whatever that is
	if errors.Is(err, fs.ErrNotExist) {                                                  // no server was ever started on it, or its files were copied
		f, err = os.Open(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, inUse(dir)
	}
	return f, nil
}

// errInUse says that another process holds the data directory.
var errInUse = errors.New("another mepserver uses the data directory")

func inUse(dir string) error { return fmt.Errorf("%w %s", errInUse, dir) }

// LockDir makes the data directory ours. etcd's own lock waits for ever.
func LockDir(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if err = storeFault("cannot make the directory for the store", dir, err); remedy(err) == "" {
			err = fmt.Errorf("%w; choose another --data-dir", err)
		}
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, storeFault("cannot use the directory for the store", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w; stop that one first: in Kubernetes have its pod end before this one begins, with the strategy Recreate or by scaling the deployment to 0", inUse(dir))
	}
	return f, nil
}
