package servicecenter

import (
	"context"
	"encoding/json"
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

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/quota"
)

// BackupRoute is where the admin socket serves a backup of the embedded store.
const BackupRoute = "/backup"

// serveBackup sends a backup, as the store is at this moment. Writes go on meanwhile.
func (c *Center) serveBackup(log openlog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		from, size, err := c.upkeep.held.backup(r.Context(), c.etcd.Server.Backend())
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
	if r, err := sound(dataDir); err != nil {
		return nil, 0, err
	} else if r.Empty {
		return nil, 0, fmt.Errorf("there is no store in %s", dataDir)
	}
	c := &Center{said: logs.NewRepeats(log)}
	if err := c.openStore(ctx, Options{DataDir: dataDir, Quota: quota, Log: log, Fail: fail}); err != nil {
		return nil, 0, err
	}
	r, size, _, ended := readBackup(c.etcd.Server.Backend())
	return offline{r, func() {
		_ = r.Close()
		<-ended
		c.closeStore()
	}}, size, nil
}

type offline struct {
	io.Reader
	end func()
}

func (o offline) Close() error { o.end(); return nil }

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

// restoredKey tells who looks that the store was restored, and from where.
const restoredKey = "/mep/restored"

// Restore makes the embedded store in dataDir of a backup. dataDir may hold nothing, and
// no server may use it. What a restore that was killed has left is removed. fail is as in
// plugins.Host.
func Restore(ctx context.Context, file, dataDir string, progress, out io.Writer, fail func(why string)) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if err := nothingIn(dataDir); err != nil {
		return err
	}
	lock, err := lockDir(dataDir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := nothingIn(dataDir); err != nil {
		return err
	}
	etcd := etcdDir(dataDir)
	if err := datadir.RemoveLeft(etcd); err != nil {
		return err
	}
	c := contents{states: map[heartbeat.State]int{}}
	var schema []byte
	h, err := datadir.Restore(ctx, file, etcd, identity, datadir.Restored{Key: restoredKey, Value: restoredNow, Log: restoreLog(etcd, fail)},
		show(progress, "restore", info.Size()), func(kv *mvccpb.KeyValue) {
			if string(kv.Key) == clusterKey {
				schema = kv.Value
			}
			c.take(kv)
		}, func() error { return knownSchema(file, schema) })
	if err != nil {
		return err
	}
	all := 0
	for _, n := range c.states {
		all += n
	}
	fmt.Fprintf(out, "restored %s from %s: %d services, %d subscriptions; revision %d became %d\n",
		dataDir, file, all, c.subscriptions, h.Revision, h.Revision+datadir.Bump)
	return nil
}

// restoreLog is etcd's log while it makes a store: its last words alone are heard.
func restoreLog(etcd string, fail func(why string)) *zap.Logger {
	if fail == nil {
		return zap.NewNop()
	}
	l := &lastWords{dir: filepath.Dir(etcd), fail: func(why string) {
		_ = datadir.RemoveLeft(etcd) // the process ends, and nothing else does it
		fail(why)
	}}
	return l.logger()
}

func restoredNow(revision int64) []byte {
	b, err := json.Marshal(map[string]int64{"at": time.Now().UnixNano(), "revision": revision})
	if err != nil { // plain numbers: cannot happen
		return []byte("{}")
	}
	return b
}

func knownSchema(file string, schema []byte) error {
	switch want := clusterValue(); {
	case schema == nil:
		return fmt.Errorf("%s is no backup of mepserver's store: %s is not in it", file, clusterKey)
	case string(schema) != want:
		return fmt.Errorf("%s was written by another version of this program: %s does not hold schema %d", file, clusterKey, schemaVersion)
	}
	return nil
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
		if !slices.Contains(mayStay, e.Name()) && !strings.HasPrefix(e.Name(), ".admin-") && !datadir.IsLeft(etcdDir(dataDir), e.Name()) {
			return fmt.Errorf("%s is not empty (there is %s): restore into a directory that holds nothing, or move what it holds away",
				dataDir, plugins.Clean(filepath.Join(dataDir, e.Name())))
		}
	}
	return nil
}
