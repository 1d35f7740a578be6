package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// ServeBackup sends a backup, as the store is at this moment. Writes go on meanwhile.
func (c *Client) ServeBackup(log openlog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		from, size, err := c.upkeep.backups.backup(r.Context(), c.etcd.Server.Backend())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer func() { _ = from.Close() }()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		tags := openlog.Tags{"size": quota.Bytes(size)}
		if _, err := io.Copy(w, from); err != nil { // the other side sees that it is cut off
			tags["reason"] = err.Error()
			log.Warn("a backup was not taken to its end", openlog.WithTags(tags))
			return
		}
		tags["took"] = time.Since(began).Round(time.Millisecond).String()
		log.Info("a backup was taken", openlog.WithTags(tags))
	})
}

// OfflineBackup is the backup of a store that no server uses: it is opened for it, and
// closed by Close. fail is as in plugins.Host.
func OfflineBackup(ctx context.Context, dataDir string, quota int64, log openlog.Logger, fail func(why string)) (backup io.ReadCloser, size int64, err error) {
	lock, err := lockExisting(dataDir)
	if err != nil {
		return nil, 0, err
	}
	_ = lock.Close() // it is taken again at once; this one was to make nothing where there is nothing
	if r, err := checkDir(dataDir, nil); err != nil {
		return nil, 0, err
	} else if r.Empty {
		return nil, 0, fmt.Errorf("there is no store in %s", dataDir)
	}
	c, err := Open(ctx, Options{DataDir: dataDir, Quota: quota, Log: log, Repeats: logs.NewRepeats(log), Fail: fail})
	if err != nil {
		return nil, 0, err
	}
	r, size, _, ended := readBackup(c.etcd.Server.Backend())
	return offline{r, func() {
		_ = r.Close()
		<-ended
		c.Close()
	}}, size, nil
}

type offline struct {
	io.Reader
	end func()
}

// Close implements io.Closer.
func (o offline) Close() error { o.end(); return nil }

// RestoreBackup makes the embedded store in dataDir of a backup, and puts the key of a
// restored store. dataDir may hold nothing, and no server may use it. What a restore that
// was killed has left is removed. see is called for every key before, and then accept, whose
// error refuses the backup; fail is as in plugins.Host.
func RestoreBackup(ctx context.Context, file, dataDir string, restored datadir.Restored, progress func(int64), fail func(why string),
	see func(*mvccpb.KeyValue), accept func() error) (datadir.History, error) {
	if err := nothingIn(dataDir); err != nil {
		return datadir.History{}, err
	}
	lock, err := LockDir(dataDir)
	if err != nil {
		return datadir.History{}, err
	}
	defer func() { _ = lock.Close() }()
	if err := nothingIn(dataDir); err != nil {
		return datadir.History{}, err
	}
	etcd := Dir(dataDir)
	if err := datadir.RemoveLeft(etcd); err != nil {
		return datadir.History{}, err
	}
	restored.Log = restoreLog(etcd, fail)
	return datadir.Restore(ctx, file, etcd, identity, restored, progress, see, accept)
}

// restoreLog is etcd's log while it makes a store. It writes nothing; when etcd cannot go on,
// fail is called.
func restoreLog(etcd string, fail func(why string)) *zap.Logger {
	if fail == nil {
		return zap.NewNop()
	}
	l := &startLog{dir: filepath.Dir(etcd), fail: func(why string) {
		_ = datadir.RemoveLeft(etcd) // the process ends, and nothing else does it
		fail(why)
	}}
	return l.logger()
}

// mayStay are what a server leaves in a directory that holds nothing else. A restore that
// was killed leaves more, see datadir.RemoveLeft.
var mayStay = []string{"LOCK", "admin.sock"}

func nothingIn(dataDir string) error {
	all, err := os.ReadDir(dataDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	for _, e := range all {
		if !slices.Contains(mayStay, e.Name()) && !strings.HasPrefix(e.Name(), ".admin-") && !datadir.IsLeft(Dir(dataDir), e.Name()) {
			return fmt.Errorf("%s is not empty (there is %s): restore into a directory that holds nothing, or move what it holds away",
				dataDir, plugins.Clean(filepath.Join(dataDir, e.Name())))
		}
	}
	return nil
}
