package center

import (
	"context"
	"fmt"
	"strings"
	"sync"
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
		o := &InstanceEvents{failed: func() uint64 { return 0 }, known: func(key []byte) bool { return known[string(key)] },
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

// service-center drops an event when it cannot read whom to tell: who watched was never told, and
// finds kept the dead. What was not answered is told again, in order, and nobody waits behind it.
func TestAnInstancesEventsAreToldAgainUntilTheStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got, given []string
		hangs, failures := false, uint64(0)
		read := func() bool {
			mu.Lock()
			defer mu.Unlock()
			if hangs {
				failures++
			}
			return !hangs
		}
		hang := func(yes bool) { mu.Lock(); defer mu.Unlock(); hangs = yes }
		said := func() string {
			mu.Lock()
			defer mu.Unlock()
			defer func() { got = nil }()
			return strings.Join(got, " ")
		}
		slow := func() bool { // as long as a read waits for a store that does not answer
			ok := read()
			if !ok {
				time.Sleep(requestTimeout)
			}
			return ok
		}
		o := &InstanceEvents{failed: func() uint64 { mu.Lock(); defer mu.Unlock(); return failures }, known: func([]byte) bool { return slow() },
			lost: func(key string, n int) {
				mu.Lock()
				defer mu.Unlock()
				given = append(given, fmt.Sprint(key, n))
			},
			next: func(e sd.KvEvent) {
				if slow() {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, fmt.Sprint(e.Type, string(e.KV.Key), e.Revision))
				}
			}}
		hang(true)
		o.OnEvent(happened(discovery.EVT_DELETE, "a", 1))
		o.OnEvent(happened(discovery.EVT_CREATE, "b", 2))
		o.OnEvent(happened(discovery.EVT_CREATE, "a", 3))
		began := time.Now()
		o.EndOver("a")
		require.Zero(t, time.Since(began), "who ends an instance does not wait for it")
		time.Sleep(10 * time.Second)
		require.Empty(t, said())
		hang(false)
		time.Sleep(requestTimeout + 2*hungPause)
		require.Equal(t, "DELETEa1 CREATEa3 CREATEb2", said())

		hang(true)
		o.OnEvent(happened(discovery.EVT_UPDATE, "c", 4))
		time.Sleep(maxHung + 4*requestTimeout)
		hang(false)
		time.Sleep(requestTimeout + 2*hungPause)
		require.Empty(t, said(), "not for ever")
		mu.Lock()
		require.Equal(t, []string{"c1"}, given)
		mu.Unlock()
		o.OnEvent(happened(discovery.EVT_UPDATE, "c", 5))
		time.Sleep(requestTimeout)
		require.Equal(t, "UPDATEc5", said())
		o.mu.Lock()
		defer o.mu.Unlock()
		require.Empty(t, o.waiting)
		require.Zero(t, o.count)
	})
}

// Whoever erases an instance must not go on, as if nobody was to be told, because the store did not answer.
func TestAnInstancesEndIsAwaitedThatCannotBeLookedUp(t *testing.T) {
	o := &InstanceEvents{}
	const key = "/cse-sr/inst/files/default/default/expected/end"
	o.ExpectEnd(t.Context(), key)
	require.Empty(t, o.ends, "there is no such instance")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	o.ExpectEnd(gone, key+"less")
	require.Contains(t, o.ends, key+"less")
	o.EndOver(key + "less")
	require.Empty(t, o.ends)
}
