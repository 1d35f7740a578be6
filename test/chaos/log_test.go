package chaos

import (
	"bufio"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// muted is a server with its own store whose standard error is read only when the test
// says so.
type muted struct {
	*mep.Server
	t       *testing.T
	silent  atomic.Bool  // nobody reads
	dropped atomic.Int64 // as the log says
	lines   atomic.Int64
}

func startMuted(t *testing.T, env ...string) *muted {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	m := &muted{t: t}
	go m.read(r)
	m.Server = mep.Options{Env: env, StderrTo: w}.Start(t)
	require.NoError(t, w.Close())
	return m
}

// read takes the log as long as the test lets it.
func (m *muted) read(r io.Reader) {
	for in := bufio.NewReaderSize(r, 4096); ; {
		for m.silent.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		m.lines.Add(1)
		var said struct{ Dropped int64 }
		if strings.Contains(line, "log lines were dropped between") && json.Unmarshal([]byte(line), &said) == nil {
			m.dropped.Add(said.Dropped)
		}
	}
}

// register returns the id of a new service; "": it was not registered.
func (m *muted) register(interval int) (id string) {
	v, err := m.TryRegister("muted", "s", interval)
	if err != nil {
		m.t.Error(err)
		return ""
	}
	return v.ID
}

func (m *muted) beat(id string) bool { return m.Beat("muted", id) == http.StatusNoContent }

// counted is how many lines the server says that it dropped.
func (m *muted) counted() int64 {
	m.t.Helper()
	n, ok := m.TryMetric("mep_log_lines_dropped_total")
	require.True(m.t, ok, "the metric is there")
	return int64(n)
}

// load is what goes on while nobody reads.
type load struct {
	*muted
	beats, failed, made, deaths, late atomic.Int64
	latest                            atomic.Int64 // ns after the window
}

const (
	mutedLiving = 200
	mutedWindow = 5 * time.Second // an interval of 1 s, four misses
	// mutedLate is when a death is late: before the silence is over, for which it must not wait, and
	// later than on a busy machine.
	mutedLate = 10 * time.Second
)

// live has one service beat every second until end is closed.
func (l *load) live(id string, end <-chan struct{}) {
	select {
	case <-end:
		return
	case <-time.After(time.Duration(rand.Int64N(int64(time.Second)))):
	}
	for tick := time.NewTicker(time.Second); ; {
		l.beats.Add(1)
		if !l.beat(id) {
			l.failed.Add(1)
		}
		select {
		case <-end:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// churn registers and deletes, two lines each, and now and then somebody dies.
func (l *load) churn(end <-chan struct{}, dies bool) {
	var deaths sync.WaitGroup
	defer deaths.Wait()
	for n := 0; ; n++ {
		select {
		case <-end:
			return
		default:
		}
		if id := l.register(60); id != "" {
			l.made.Add(1)
			_, _ = l.Try("DELETE", mep.ServicesOf("muted")+"/"+id, "")
		}
		if dies && n%50 == 0 {
			deaths.Go(l.death)
		}
	}
}

// death registers somebody who never beats, and looks when that is known.
func (l *load) death() {
	id := l.register(1)
	last := time.Now()
	for l.State(id) != "SUSPENDED" {
		if time.Since(last) > mutedWindow+30*time.Second {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	l.deaths.Add(1)
	over := time.Since(last) - mutedWindow
	for was := l.latest.Load(); int64(over) > was && !l.latest.CompareAndSwap(was, int64(over)); was = l.latest.Load() {
	}
	if over > mutedLate {
		l.late.Add(1)
	}
}

// run has the living beat and others change, some of them die, for a time.
func (l *load) run(ids []string, most time.Duration) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() { l.live(id, end) })
	}
	for i := range 4 {
		all.Go(func() { l.churn(end, i == 0 && len(ids) > 0) })
	}
	time.Sleep(most)
	close(end)
	all.Wait()
}

// Nobody reads standard error for a while, under load: nothing waits for it. What was
// dropped is counted, and said once somebody reads again; and a stop does not wait either.
func TestAReaderOfTheLogStops(t *testing.T) {
	m := startMuted(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=4", "MEP_APPLICATIONS_MAX_SERVICES=100000",
		"MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0")
	l := &load{muted: m}
	var ids []string
	for range mutedLiving {
		ids = append(ids, m.register(1))
	}
	m.silent.Store(true)
	silence := pick(20*time.Second, time.Minute)
	l.run(ids, silence)
	counted, read := m.counted(), m.lines.Load()
	for _, id := range ids {
		require.True(t, m.beat(id), "a heartbeat after the silence")
		require.Equal(t, "ACTIVE", m.State(id))
	}
	t.Logf("standard error unread for %s: %d heartbeats, %d failed; %d registrations and deletions; %d deaths, %d late, the last %s after its window; %d lines dropped",
		silence, l.beats.Load(), l.failed.Load(), l.made.Load(), l.deaths.Load(), l.late.Load(), time.Duration(l.latest.Load()).Round(time.Millisecond), counted)
	require.Zero(t, l.failed.Load(), "failed heartbeats")
	require.NotZero(t, l.deaths.Load())
	require.Zero(t, l.late.Load(), "late deaths")
	require.NotZero(t, counted, "lines are dropped and counted")

	m.silent.Store(false)
	wait.Until(t, "the log says what is missing", func() bool { return m.dropped.Load() > 0 })
	require.Equal(t, m.counted(), m.dropped.Load(), "in one line, which agrees with the metric")
	require.Greater(t, m.lines.Load(), read)

	m.silent.Store(true)
	for before := m.counted(); m.counted() == before; {
		l.run(nil, time.Second)
	}
	begun := time.Now()
	code := m.Terminate()
	t.Logf("SIGTERM while nobody reads: %s", time.Since(begun).Round(10*time.Millisecond))
	require.Zero(t, code)
	require.LessOrEqual(t, time.Since(begun), 10*time.Second)
	m.silent.Store(false)
}
