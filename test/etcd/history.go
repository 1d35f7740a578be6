package etcd

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Write is one write that a History saw.
type Write struct {
	Key    string
	Kept   string // what the recorder keeps of the value
	Erased bool
	Seen   time.Time
}

// History is everything that is written under a prefix while a test runs, whatever
// becomes of the servers meanwhile: an oracle that asks nobody but the store.
type History struct {
	keep   func(value []byte) string
	mu     sync.Mutex
	writes []Write
	at     int64
}

// Record begins a history, which keeps of each value what keep returns. It ends with
// the test.
func (c *Cluster) Record(t testing.TB, prefix string, keep func(value []byte) string) *History {
	t.Helper()
	h := &History{at: 1, keep: keep}
	client := c.Dial()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			h.watch(ctx, client, prefix)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func (h *History) watch(ctx context.Context, client *clientv3.Client, prefix string) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for res := range client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(h.at)) {
		if res.Err() != nil {
			break
		}
		h.mu.Lock()
		for _, ev := range res.Events {
			h.writes = append(h.writes, Write{string(ev.Kv.Key), h.keep(ev.Kv.Value), ev.Type == mvccpb.DELETE, time.Now()})
			h.at = ev.Kv.ModRevision + 1
		}
		h.mu.Unlock()
	}
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}

// Writes are all so far, in order.
func (h *History) Writes() []Write {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Write(nil), h.writes...)
}
