package certs

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readEvery is how often the files are looked at, at most. What they hold is compared,
	// not their times: Kubernetes swaps links, cp -p keeps times, and two writes of one
	// moment have the same time.
	readEvery = time.Second
	// retryEvery is how often contents that could not be used are parsed again: a certificate
	// that was not valid yet may be now. To open an encrypted key takes a while.
	retryEvery = 30 * time.Second
)

// Kept is what was read of a source last. Contents that cannot be used change nothing: what
// was good stays. It is safe for concurrent use.
type Kept[T any] struct {
	source Source[T]
	now    func() time.Time
	report func(error)

	value atomic.Pointer[T]
	due   atomic.Int64 // in nanoseconds since began, when the files are looked at next
	began time.Time

	mu      sync.Mutex // of whoever reads the files, and of what follows
	seen    [sha256.Size]byte
	failure string
	retry   time.Time
	failing atomic.Bool
}

// Keep reads a source, which must succeed, and keeps it. now is the clock. report, which may
// be nil, is called when other contents were found, with nil or with why they cannot be used;
// it must not call the Kept.
func Keep[T any](s Source[T], now func() time.Time, report func(error)) (*Kept[T], error) {
	if report == nil {
		report = func(error) {}
	}
	k := &Kept[T]{source: s, now: now, report: report, began: now()}
	contents, unread := read(s.Files())
	v, err := parse(s, contents, unread, k.began)
	if err != nil {
		return nil, err
	}
	k.seen = sum(contents)
	k.value.Store(&v)
	k.due.Store(int64(readEvery))
	return k, nil
}

// Current is what the files hold, at most a second late. It reads them itself, and nobody
// waits while another does.
func (k *Kept[T]) Current() T {
	now := k.now()
	since := int64(now.Sub(k.began))
	if since >= k.due.Load() && k.mu.TryLock() {
		defer k.mu.Unlock()
		k.due.Store(since + int64(readEvery))
		k.look(now)
	}
	return *k.value.Load()
}

// Failing says whether the files hold something that cannot be used, so that Current is
// what they held before.
func (k *Kept[T]) Failing() bool { return k.failing.Load() }

// look reads the files; k.mu is held.
func (k *Kept[T]) look(now time.Time) {
	contents, unread := read(k.source.Files())
	is := sum(contents)
	if is == k.seen && (!k.failing.Load() || now.Before(k.retry)) {
		return
	}
	k.seen, k.retry = is, now.Add(retryEvery)
	v, err := parse(k.source, contents, unread, now)
	if err == nil {
		k.value.Store(&v)
		k.failure = ""
		k.failing.Store(false)
		k.report(nil)
		return
	}
	k.failing.Store(true)
	if text := err.Error(); text != k.failure {
		k.failure = text
		k.report(err)
	}
}

// sum tells contents apart, also those that differ by where one file ends.
func sum(contents [][]byte) (out [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range contents {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(c))))
		_, _ = h.Write(c)
	}
	h.Sum(out[:0])
	return out
}
