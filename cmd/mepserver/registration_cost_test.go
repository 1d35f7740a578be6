package main

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// registrar registers one service after the other over one connection.
type registrar struct {
	conn   net.Conn
	app    string
	many   int
	answer []byte
}

// registrars counts them, so that none registers what one before it did.
var registrars atomic.Int64

func newRegistrar(tb testing.TB, at, app string) *registrar {
	tb.Helper()
	c, err := net.Dial("tcp", at)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	return &registrar{conn: c, app: fmt.Sprint(app, registrars.Add(1)), answer: make([]byte, 16<<10)}
}

// register says whether one more service was registered, under a name of its own.
func (r *registrar) register() bool {
	r.many++
	if r.conn.SetDeadline(time.Now().Add(time.Minute)) != nil {
		return false
	}
	app := fmt.Sprint(r.app, "-", r.many/500) // which may have so many, and some more
	body := fmt.Appendf(nil, `{"serName":"%s-%d","version":"1.2.3","state":"ACTIVE","serializer":"JSON","livenessInterval":60,"transportInfo":{"id":"t1","name":"REST",`+
		`"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x"]},"security":{}}}`, app, r.many)
	if _, err := fmt.Fprintf(r.conn, "POST %s/applications/%s/services HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		services, app, r.conn.RemoteAddr(), len(body), body); err != nil {
		return false
	}
	n := 0
	for n < len(r.answer) && !bytes.HasSuffix(r.answer[:n], []byte("}\n")) {
		more, err := r.conn.Read(r.answer[n:])
		if err != nil {
			return false
		}
		n += more
	}
	return bytes.HasPrefix(r.answer[:n], []byte("HTTP/1.1 201 "))
}

// What a registration costs on its whole way, and in all that follows from it in this process: many at a
// time are as fast as what they allocate is collected. It is one lease and one transaction, of seven keys
// and fourteen compares, and reads nothing; service-center asks of it what its watches have not shown yet.
func TestARegistrationCostsTheStoreALeaseAndATransaction(t *testing.T) {
	at, err := inProcess()
	require.NoError(t, err)
	const rounds, each = 5, 100
	r := newRegistrar(t, at, "grow")
	for range each {
		require.True(t, r.register(), "%.100s", r.answer)
	}
	counted := map[string]float64{"etcd_server_proposals_committed_total": 2, "etcd_mvcc_put_total": 7, "etcd_mvcc_range_total": 14}
	before := map[string]float64{}
	for name := range counted {
		before[name] = metric(t, at, name)
	}
	objects, size := math.Inf(1), math.Inf(1)
	var first, last runtime.MemStats
	for range rounds {
		runtime.ReadMemStats(&first)
		for range each {
			require.True(t, r.register(), "%.100s", r.answer)
		}
		runtime.ReadMemStats(&last)
		objects = min(objects, float64(last.Mallocs-first.Mallocs)/each)
		size = min(size, float64(last.TotalAlloc-first.TotalAlloc)/each)
	}
	t.Logf("a registration allocates %.0f objects of %.0f bytes", objects, size)
	for name, want := range counted {
		made := (metric(t, at, name) - before[name]) / (rounds * each)
		t.Logf("%s: %.2f a registration", name, made)
		require.GreaterOrEqual(t, made, want, name)
		require.Less(t, made, want+3, "%s; the server has some of its own", name)
	}
	if !raceEnabled { // the race detector allocates
		require.LessOrEqual(t, objects, float64(mostOfARegistration))
		require.LessOrEqual(t, size, float64(mostBytesOfARegistration))
	}
}

// The bounds of the test above: it was 1,390 of 200 kB when it was written. Of the bytes etcd copies more
// the faster they come.
const (
	mostOfARegistration      = 1_550
	mostBytesOfARegistration = 300_000
)

// BenchmarkRegistration is one registration after the other over each of some connections.
func BenchmarkRegistration(b *testing.B) {
	at, err := inProcess()
	require.NoError(b, err)
	defer keepReserve()()
	for _, conns := range []int{1, 16} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(conns/runtime.GOMAXPROCS(0), 1))
			var nth atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				for mine := newRegistrar(b, at, fmt.Sprint("bench", b.N, "x", conns, "x", nth.Add(1))); p.Next(); {
					if !mine.register() {
						b.Errorf("answered %.100q", mine.answer)
						return
					}
				}
			})
		})
	}
}
