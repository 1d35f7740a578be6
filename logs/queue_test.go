package logs

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// reader takes what is written as long as it is open; shut, a write waits; broken, it fails.
type reader struct {
	mu     sync.Mutex
	gate   chan struct{} // closed: open
	broken error
	half   int // bytes that a failing write takes
	b      bytes.Buffer
	writes int
}

func newReader() *reader {
	r := &reader{gate: make(chan struct{})}
	close(r.gate)
	return r
}

func (r *reader) shut() { r.mu.Lock(); r.gate = make(chan struct{}); r.mu.Unlock() }
func (r *reader) open() { r.mu.Lock(); close(r.gate); r.mu.Unlock() }
func (r *reader) breakWith(err error, half int) {
	r.mu.Lock()
	r.broken, r.half = err, half
	r.mu.Unlock()
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	<-gate
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if r.broken != nil {
		n := min(r.half, len(p))
		r.b.Write(p[:n])
		return n, r.broken
	}
	return r.b.Write(p)
}

func (r *reader) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Split(strings.TrimSuffix(r.b.String(), "\n"), "\n")
}

func (r *reader) all() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.b.Bytes())
}

func say(n uint64, from, to time.Time) []byte {
	return fmt.Appendf(nil, "lost %d in %s\n", n, to.Sub(from))
}

func put(q *Queue, format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
		panic("a queue takes everything")
	}
}

func TestAQueueKeepsOrderAndLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails where a goroutine is left
		r := newReader()
		q := NewQueue(r, say)
		for i := range 1000 {
			put(q, "%d", i)
		}
		require.True(t, q.Flush(time.Second))
		got := r.lines()
		require.Len(t, got, 1000)
		for i, l := range got {
			require.Equal(t, fmt.Sprint(i), l)
		}
		require.Zero(t, q.Dropped())
	})
}

func TestEachCallersOrderIsKept(t *testing.T) {
	r := newReader()
	q := NewQueue(r, say)
	var all sync.WaitGroup
	for c := range 8 {
		all.Go(func() {
			for i := range 500 {
				put(q, "%d %d", c, i)
			}
		})
	}
	all.Wait()
	require.True(t, q.Flush(time.Minute))
	next := map[int]int{}
	for _, l := range r.lines() {
		var c, i int
		_, err := fmt.Sscan(l, &c, &i)
		require.NoError(t, err)
		require.Equal(t, next[c], i)
		next[c]++
	}
	require.Len(t, next, 8)
}

// Nobody reads: every line above the bound is dropped and counted, nobody waits, and what
// is kept is bounded in lines and in bytes. Once somebody reads, one line says how many.
func TestAReaderThatStopsHoldsNobodyUp(t *testing.T) {
	for name, line := range map[string]string{"bound by lines": "x", "bound by bytes": strings.Repeat("x", 1000)} {
		synctest.Test(t, func(t *testing.T) {
			r := newReader()
			r.shut()
			q := NewQueue(r, say)
			const sent = 3 * maxLines
			begun := time.Now()
			for i := range sent {
				put(q, "%d %s", i, line)
			}
			require.Equal(t, begun, time.Now(), "nobody waited")
			synctest.Wait()
			require.LessOrEqual(t, len(q.lines), maxLines)
			require.LessOrEqual(t, q.bytes, maxBytes)
			lost := q.Dropped()
			require.NotZero(t, lost, name)
			require.False(t, q.Flush(time.Second), "the bound on a flush is kept")
			require.Equal(t, time.Second, time.Since(begun))
			put(q, "dropped too, though there may be room: one gap, not many")
			r.open()
			require.True(t, q.Flush(time.Second))
			put(q, "after")
			require.True(t, q.Flush(time.Second))
			got := r.lines()
			require.Len(t, got, int(sent-lost)+2)
			require.Equal(t, fmt.Sprintf("lost %d in 1s", lost+1), got[len(got)-2])
			require.Equal(t, "after", got[len(got)-1])
			require.Equal(t, lost+1, q.Dropped())
		})
	}
}

// The other end is closed, or the disk is full: lines are dropped one by one, and the
// first that can be written again is preceded by the count.
func TestAReaderThatFailsIsCountedAndSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := NewQueue(r, say)
		put(q, "before")
		q.Flush(time.Second)
		r.breakWith(errors.New("no space left on device"), 3)
		for i := range 10 {
			put(q, "lost %d", i)
			require.True(t, q.Flush(time.Second), "it does not wait for a reader that fails")
			time.Sleep(time.Second)
		}
		require.EqualValues(t, 10, q.Dropped())
		require.Less(t, r.writes, 30, "it does not spin")
		r.breakWith(nil, 0)
		put(q, "again")
		put(q, "and again")
		require.True(t, q.Flush(time.Second))
		got := r.lines()
		require.Equal(t, []string{"lost 10 in 9s", "again", "and again"}, got[len(got)-3:], "a line that was torn does not swallow the next")
		require.EqualValues(t, 10, q.Dropped())
	})
}

// A line longer than the whole bound is dropped alone.
func TestAHugeLineIsDroppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := NewQueue(r, say)
		put(q, "%s", strings.Repeat("x", maxBytes))
		require.True(t, q.Flush(time.Second))
		put(q, "short")
		require.True(t, q.Flush(time.Second))
		require.Equal(t, []string{"lost 1 in 0s", "short"}, r.lines())
	})
}

func TestAQueueWithoutNoticeOnlyCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := NewQueue(r, nil)
		r.breakWith(errors.New("closed"), 0)
		put(q, "a")
		q.Flush(time.Second)
		r.breakWith(nil, 0)
		put(q, "b")
		q.Flush(time.Second)
		require.Equal(t, []string{"b"}, r.lines())
		require.EqualValues(t, 1, q.Dropped())
	})
}

// Hundreds write while the reader stops and goes on: nothing is lost unsaid.
func TestWhatIsNotWrittenIsSaid(t *testing.T) {
	r := newReader()
	q := NewQueue(r, say)
	var all sync.WaitGroup
	const callers, each = 16, 4000
	for range callers {
		all.Go(func() {
			for range each {
				put(q, "%s", strings.Repeat("y", 200))
			}
		})
	}
	for range 5 {
		r.shut()
		runtime.Gosched()
		r.open()
	}
	all.Wait()
	require.True(t, q.Flush(time.Minute))
	written, said := uint64(0), uint64(0)
	for _, l := range r.lines() {
		var n uint64
		if _, err := fmt.Sscanf(l, "lost %d", &n); err == nil {
			said += n
		} else {
			written++
		}
	}
	require.EqualValues(t, callers*each, written+said)
	require.Equal(t, said, q.Dropped())
}

func TestASureWriterSaysWhatWasNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		w := NewQueue(r, nil).Confirmed(2 * time.Second)
		n, err := w.Write([]byte("a\n"))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		r.breakWith(errors.New("closed"), 0)
		_, err = w.Write([]byte("b\n"))
		require.ErrorIs(t, err, errNotTaken)
		r.breakWith(nil, 0)
		r.shut()
		begun := time.Now()
		_, err = w.Write([]byte("c\n"))
		require.ErrorIs(t, err, errNotTaken)
		require.Equal(t, 2*time.Second, time.Since(begun))
		r.open()
	})
}

func TestTheNoticeIsOneLineOfOurForm(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	require.Regexp(t, regexp.MustCompile(`^\{"time":"[^"]+","level":"WARN","msg":"17 log lines were dropped between 2026-01-02T03:04:05.006Z and 2026-01-02T03:05:05.006Z: nobody took them","dropped":17\}\n$`),
		string(droppedLine(17, at, at.Add(time.Minute))))
}
