package identity

import (
	"hash/maphash"
	"sync/atomic"
)

// A hundred thousand tokens have room, in a mebibyte of places.
const (
	cacheSets = 1 << 14
	cacheWays = 8
)

// cache remembers what was verified. It is bounded, and reading it takes no lock and no
// memory, for every heartbeat does. A key has its place in one set of few; a new one takes
// the place of one that is of no use any more, or of any. That costs the other no more than
// to be verified once more.
type cache[K comparable, V any] struct {
	seed maphash.Seed
	sets [cacheSets][cacheWays]atomic.Pointer[cached[K, V]]
	next atomic.Uint32 // which place of a full set is taken
}

type cached[K comparable, V any] struct {
	key   K
	value *V
}

func newCache[K comparable, V any]() *cache[K, V] { return &cache[K, V]{seed: maphash.MakeSeed()} }

func (c *cache[K, V]) set(key K) *[cacheWays]atomic.Pointer[cached[K, V]] {
	return &c.sets[maphash.Comparable(c.seed, key)%cacheSets]
}

// get returns what is remembered of a key; nil: nothing.
func (c *cache[K, V]) get(key K) *V {
	set := c.set(key)
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == key {
			return e.value
		}
	}
	return nil
}

// put remembers a value. useless says of another whether it may be forgotten without loss.
func (c *cache[K, V]) put(key K, value *V, useless func(*V) bool) {
	set := c.set(key)
	place := &set[c.next.Add(1)%cacheWays]
	for i := range set {
		e := set[i].Load()
		if e == nil || useless(e.value) {
			place = &set[i]
		}
		if e != nil && e.key == key {
			place = &set[i]
			break
		}
	}
	place.Store(&cached[K, V]{key, value})
}
