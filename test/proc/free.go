package proc

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports that Free takes lie below those that a system gives away by itself (from 32768
// on, usually). One of those would be somebody else's, a client's as well, by the time
// that a process which was killed is to come back at its address.
const freeFrom, freeTo = 10000, 30000

// given are the ports that this test binary was given already: its tests run side by
// side, and a process listens only a while after its port was chosen.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Free is a loopback host:port that nobody uses now, and that the system gives to nobody
// who does not ask for it.
func Free(t testing.TB) string {
	t.Helper()
	addr := FindFree()
	if addr == "" {
		t.Fatal("no port is free")
	}
	return addr
}

// FindFree is Free without a test; "": no port is free.
func FindFree() string { return FindFreeOn("127.0.0.1") }

// FindFreeOn is FindFree for another loopback address, such as 127.0.0.2.
func FindFreeOn(host string) string {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil || len(given.ports) > (freeTo-freeFrom)/2 { // the first of them ended long ago
		given.ports = map[int]bool{}
	}
	for range 1000 {
		port := freeFrom + rand.IntN(freeTo-freeFrom)
		if given.ports[port] {
			continue
		}
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		l, err := net.Listen("tcp", addr) //nolint:noctx // closed at once
		if err == nil {
			_ = l.Close()
			given.ports[port] = true
			return addr
		}
	}
	return ""
}
