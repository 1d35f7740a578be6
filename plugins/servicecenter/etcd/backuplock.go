package etcd

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/storage/backend"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
)

// How long a backup may be read: at the lowest rate, and a minute longer.
const (
	leastBackupRate = 1 << 20 // bytes a second
	moreBackupTime  = time.Minute
	// backupWait is how long a backup waits for another one or for a defragmentation,
	// and a defragmentation that cannot wait for a backup that it has ended.
	backupWait = 5 * time.Second
)

var (
	errBackupSlow = errors.New("it was read too slowly")
	errBackupFull = errors.New("the store is full, and cannot be cleared up while it is read")
	errHeldOpen   = errors.New("a backup is being taken, or the store is being cleared up: try again")
)

func backupTime(size int64) time.Duration {
	return moreBackupTime + time.Duration(size/leastBackupRate)*time.Second
}

// backupLock keeps a backup and a defragmentation apart. Without it, whoever takes a backup
// and reads slowly would keep every read, claim and deletion waiting: a defragmentation
// takes all locks of etcd's database, and then waits until nobody reads it.
type backupLock struct {
	semaphore chan struct{} // of one
	time      func(size int64) time.Duration

	mu     sync.Mutex
	cancel func(why error) // ends the backup that is being taken; nil: none is
}

func newBackupLock() *backupLock {
	return &backupLock{semaphore: make(chan struct{}, 1), time: backupTime}
}

// acquire waits for the lock no longer than within, which may be 0. release gives it back.
func (h *backupLock) acquire(ctx context.Context, within time.Duration) error {
	select {
	case h.semaphore <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case h.semaphore <- struct{}{}:
		return nil
	case <-t.C:
		return errHeldOpen
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *backupLock) release() { <-h.semaphore }

// cancelBackup cuts the backup off that is being taken.
func (h *backupLock) cancelBackup(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel != nil {
		h.cancel(why)
	}
}

// backup begins a backup, which is size bytes long; closing it ends it. Whoever reads it
// holds nothing of the database: once its time is over, it is cut off.
func (h *backupLock) backup(ctx context.Context, be backend.Backend) (from io.ReadCloser, size int64, err error) {
	if err := h.acquire(ctx, backupWait); err != nil {
		return nil, 0, err
	}
	r, size, cut, ended := readBackup(be)
	late := time.AfterFunc(h.time(size), func() { cut(errBackupSlow) })
	h.mu.Lock()
	h.cancel = cut
	h.mu.Unlock()
	go func() {
		<-ended
		late.Stop()
		h.mu.Lock()
		h.cancel = nil
		h.mu.Unlock()
		h.release()
	}()
	return r, size, nil
}

// readBackup reads the database as it is now, as fast as the backup is taken. cut ends
// that, whoever waits; ended is closed once nothing is held of the database.
func readBackup(be backend.Backend) (from *io.PipeReader, size int64, cut func(why error), ended <-chan struct{}) {
	s := be.Snapshot()
	r, w := io.Pipe()
	end := make(chan struct{})
	go func() {
		defer close(end)
		defer func() { _ = s.Close() }()
		_ = w.CloseWithError(datadir.WriteBackup(w, s.WriteTo))
	}()
	return r, datadir.BackupSize(s.Size()), func(why error) { _ = w.CloseWithError(why) }, end
}
