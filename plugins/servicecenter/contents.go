package servicecenter

import (
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// contents count what a store holds.
type contents struct {
	states        map[heartbeat.State]int
	unreadable    int
	first         string // key that cannot be read
	subscriptions int
	events        int
	applications  int
	instances     int
	services      int
}

func (c *contents) take(kv *mvccpb.KeyValue) {
	key, ok := string(kv.Key), true
	switch {
	case strings.HasPrefix(key, recordPrefix):
		r, err := decodeRecord(kv)
		if ok = err == nil; ok {
			c.states[r.State]++
		}
	case strings.HasPrefix(key, subPrefix):
		c.subscriptions++
		_, ok = decodeSubscription(kv)
	case strings.HasPrefix(key, cursorPrefix):
		_, ok = decodeCursor(kv)
	case strings.HasPrefix(key, outboxPrefix):
		c.events++
		_, ok = decodeEvent(kv)
	case strings.HasPrefix(key, appPrefix):
		c.applications++
		_, ok = decodeApplication(kv)
	case strings.HasPrefix(key, instancePrefix):
		c.instances++
	case strings.HasPrefix(key, servicePrefix):
		c.services++
	}
	if !ok {
		c.unreadable++
		if c.first == "" || key < c.first {
			c.first = key
		}
	}
}
