package center

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"
)

func happened(what discovery.EventType, key string, at int64) sd.KvEvent {
	return sd.KvEvent{Type: what, Revision: at, KV: &sd.KeyValue{Key: []byte(key)}}
}

// The events of one instance keep their order, those of others do not wait for it, and
// nothing waits for ever.
func TestAnInstancesEventsWaitForItsMicroservice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		known := map[string]bool{"b": true}
		o := &InstanceEvents{known: func(key []byte) bool { return known[string(key)] },
			next: func(e sd.KvEvent) { got = append(got, fmt.Sprint(e.Type, string(e.KV.Key), e.Revision)) }}
		said := func() string {
			o.mu.Lock()
			defer o.mu.Unlock()
			defer func() { got = nil }()
			return strings.Join(got, " ")
		}
		o.OnEvent(happened(discovery.EVT_CREATE, "a", 1))
		o.OnEvent(happened(discovery.EVT_CREATE, "b", 2))
		o.OnEvent(happened(discovery.EVT_UPDATE, "a", 3))
		o.OnEvent(happened(discovery.EVT_DELETE, "a", 4))
		o.OnEvent(happened(discovery.EVT_CREATE, "a", 5))
		o.OnEvent(happened(discovery.EVT_INIT, "c", 6))
		o.OnEvent(happened(discovery.EVT_DELETE, "c", 7))
		time.Sleep(10 * unknownPause)
		require.Equal(t, "CREATEb2 INITc6 DELETEc7", said())
		o.mu.Lock()
		known["a"] = true
		o.mu.Unlock()
		time.Sleep(2 * unknownPause)
		require.Equal(t, "CREATEa1 UPDATEa3 DELETEa4 CREATEa5", said())
		o.OnEvent(happened(discovery.EVT_UPDATE, "a", 8))
		require.Equal(t, "UPDATEa8", said(), "at once from now on")

		began := time.Now()
		for i := range maxWaiting + 1 {
			o.OnEvent(happened(discovery.EVT_CREATE, "nobody", int64(10+i)))
		}
		require.InDelta(t, maxUnknown, time.Since(began), float64(2*unknownPause), "more than may be held wait")
		require.Len(t, strings.Fields(said()), maxWaiting)
		time.Sleep(maxUnknown + 2*unknownPause)
		require.Len(t, strings.Fields(said()), 1)
		o.mu.Lock()
		defer o.mu.Unlock()
		require.Empty(t, o.waiting)
		require.Zero(t, o.count)
	})
}
