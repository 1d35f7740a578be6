package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
)

// services is where the API of services begins.
const services = "/mec_service_mgmt/v1"

// There can be one service-center per process, so that one server serves all of these tests; it
// ends with the process.
var inProcess = sync.OnceValues(func() (at string, err error) {
	dir, err := os.MkdirTemp("", "cost-")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, up := make(chan error, 1), make(chan string, 1)
	stopInProcess = func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		_ = os.RemoveAll(dir)
	}
	c, err := conf.Load(conf.Sources{Environ: []string{"MEP_SERVER_LISTEN=127.0.0.1:0", "MEP_STORE_DATA_DIR=" + dir, "MEP_LIMITS_WRITES_PER_SECOND=100000"}, Rules: fileRules(time.Now())})
	if err != nil {
		return "", err
	}
	p := environment{out: io.Discard, errs: io.Discard, environ: []string{"GOGC=100"}, dropped: func() uint64 { return 0 }, fail: func(why string) { panic(why) }}
	go func() { ended <- p.serve(ctx, c, "ERROR", func(a net.Addr) { up <- a.String() }) }()
	select {
	case at := <-up:
		return at, nil
	case err := <-ended:
		ended <- err
		return "", err
	}
})

var stopInProcess = func() {}

func TestMain(m *testing.M) {
	if raceEnabled { // a server of a process that is three seconds old has a race of service-center's: see center.Measure
		if _, err := inProcess(); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	stopInProcess()
	os.Exit(code)
}

// beater sends one heartbeat after the other over one connection. It allocates nothing.
type beater struct {
	conn    net.Conn
	request []byte
	answer  []byte
}

func newBeater(tb testing.TB, at, path string) *beater {
	tb.Helper()
	c, err := net.Dial("tcp", at)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	b := &beater{conn: c, answer: make([]byte, 4096)}
	b.of(path)
	return b
}

// of has the heartbeats be those of another path.
func (b *beater) of(path string) {
	const body = `{"state":"ACTIVE"}`
	b.request = fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, b.conn.RemoteAddr(), len(body), body)
}

// beat says whether the heartbeat was answered 204.
func (b *beater) beat() bool {
	if _, err := b.conn.Write(b.request); err != nil {
		return false
	}
	n := 0
	for n < len(b.answer) && !bytes.HasSuffix(b.answer[:n], []byte("\r\n\r\n")) {
		more, err := b.conn.Read(b.answer[n:])
		if err != nil {
			return false
		}
		n += more
	}
	return bytes.HasPrefix(b.answer[:n], []byte("HTTP/1.1 204 "))
}

// costs is what one heartbeat allocates in this process at best: what else goes on in it allocates too.
func (b *beater) costs(tb testing.TB) (objects, size float64) {
	tb.Helper()
	objects, size = math.Inf(1), math.Inf(1)
	const beats = 500
	var before, after runtime.MemStats
	for range 5 {
		runtime.ReadMemStats(&before)
		for range beats {
			if !b.beat() {
				tb.Fatalf("a heartbeat was answered %q", b.answer[:80])
			}
		}
		runtime.ReadMemStats(&after)
		objects = min(objects, float64(after.Mallocs-before.Mallocs)/beats)
		size = min(size, float64(after.TotalAlloc-before.TotalAlloc)/beats)
	}
	return objects, size
}

// registered registers a service and returns the path of its heartbeats.
func registered(tb testing.TB, at, name string) string {
	tb.Helper()
	return registeredBy(tb, at, "app", name)
}

func registeredBy(tb testing.TB, at, app, name string) string {
	tb.Helper()
	info := fmt.Sprintf(`{"serName":%q,"version":"1.2.3","state":"ACTIVE","serializer":"JSON","livenessInterval":60,"transportInfo":{"id":"t1","name":"REST",
		"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x"]},"security":{}}}`, name)
	res, err := http.Post("http://"+at+services+"/applications/"+app+"/services", "application/json", strings.NewReader(info))
	require.NoError(tb, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(tb, http.StatusCreated, res.StatusCode)
	_, path, ok := strings.Cut(res.Header.Get("Location"), services)
	require.True(tb, ok)
	return services + path + "/liveness"
}

// bare is a server of net/http that reads bodies and answers 204.
func bare(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = srv.Serve(l) }()
	tb.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// metric is the sum of a metric's series.
func metric(tb testing.TB, at, name string) (sum float64) {
	tb.Helper()
	res, err := http.Get("http://" + at + "/metrics")
	require.NoError(tb, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(tb, err)
	found := false
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
			require.NoError(tb, err)
			sum, found = sum+v, true
		}
	}
	require.True(tb, found, name)
	return sum
}

// What a heartbeat allocates on its whole way, from the connection to the lease and back, beyond
// what it allocates in a server of net/http that only answers: garbage is collected by whoever
// has to renew leases.
func TestAHeartbeatAllocatesLittleOnItsWholeWay(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	at, err := inProcess()
	require.NoError(t, err)
	objects, size := newBeater(t, at, registered(t, at, "cost")).costs(t)
	least, leastSize := newBeater(t, bare(t), "/").costs(t)
	t.Logf("a heartbeat allocates %.1f objects of %.0f bytes; bare net/http %.1f of %.0f", objects, size, least, leastSize)
	require.LessOrEqual(t, objects, least+mostObjects)
	require.LessOrEqual(t, size, leastSize+mostBytes)
}

// The bounds of the test above.
const (
	mostObjects = 15
	mostBytes   = 1400
)

// Heartbeats write nothing, read nothing, and renew one lease each; and whoever is registered has
// no goroutine.
func TestAHeartbeatCostsTheStoreOneRenewalAndNothingElse(t *testing.T) {
	at, err := inProcess()
	require.NoError(t, err)
	const beats = 2000
	b := newBeater(t, at, registered(t, at, "counted"))
	for range 10 {
		require.True(t, b.beat())
	}
	counted := []string{"etcd_server_proposals_committed_total", "etcd_mvcc_range_total", "etcd_debugging_lease_renewed_total"}
	before := map[string]float64{}
	for _, name := range counted {
		before[name] = metric(t, at, name)
	}
	for range beats {
		require.True(t, b.beat())
	}
	made := map[string]float64{}
	for _, name := range counted {
		made[name] = metric(t, at, name) - before[name]
	}
	t.Logf("%d heartbeats: %v", beats, made)
	require.Less(t, made[counted[0]], beats/2., "writes; the server has some of its own")
	require.Less(t, made[counted[1]], beats/2., "reads; the server has some of its own")
	require.GreaterOrEqual(t, made[counted[2]], float64(beats))
	require.Less(t, made[counted[2]], beats*3/2., "renewals; the server has leases of its own")

	few := runtime.NumGoroutine()
	for n := range 200 {
		b.of(registered(t, at, fmt.Sprint("counted-", n)))
		require.True(t, b.beat())
	}
	most := few + 100
	require.Eventually(t, func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() < most
	}, time.Minute, 50*time.Millisecond, "goroutines of 200 services more than %d", few)
}

// BenchmarkHeartbeat is one heartbeat after the other over each of some connections, beside bare net/http's.
func BenchmarkHeartbeat(b *testing.B) {
	at, err := inProcess()
	require.NoError(b, err)
	defer keepReserve()()
	path, least := registered(b, at, "bench"), bare(b)
	for _, conns := range []int{1, 32, 500} {
		for name, one := range map[string]func() *beater{
			"mepserver": func() *beater { return newBeater(b, at, path) },
			"bare":      func() *beater { return newBeater(b, least, path) },
		} {
			b.Run(fmt.Sprint(name, "/", conns), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(max(conns/runtime.GOMAXPROCS(0), 1))
				b.RunParallel(func(p *testing.PB) {
					for mine := one(); p.Next(); {
						if !mine.beat() {
							b.Errorf("answered %q", mine.answer[:80])
							return
						}
					}
				})
			})
		}
	}
}
