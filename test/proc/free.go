package proc

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports that Free takes lie below those that a system gives away by itself (from 32768
// on, usually). One of those would be somebody else's, a client's as well, by the time
// that a process which was killed is to come back at its address.
const freeFrom, freeTo = 10000, 30000

// Free is a loopback host:port that nobody uses now, and that the system gives to nobody
// who does not ask for it.
func Free(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(freeFrom+rand.IntN(freeTo-freeFrom)))
		l, err := net.Listen("tcp", addr) //nolint:noctx // closed at once
		if err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
