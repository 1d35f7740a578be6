package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/stretchr/testify/require"
)

func decoded(t *testing.T, out *reader) (all []map[string]any) {
	t.Helper()
	for l := range bytes.Lines(out.all()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal(l, &m), "%s", l)
		all = append(all, m)
	}
	return all
}

// 4,000 lines of one kind are two: the first, and after a minute the last with the count.
func TestRepetitionsBecomeOneLineWithACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newReader()
		r := NewRepeats(New(out, "INFO"))
		for i := range 4000 {
			r.Warn("heartbeat", fmt.Sprint("heartbeat failed ", i), openlog.Tags{"n": i})
		}
		r.Error("other", "of another kind", nil)
		require.Len(t, decoded(t, out), 2)
		time.Sleep(repeatPeriod)
		synctest.Wait()
		got := decoded(t, out)
		require.Len(t, got, 3)
		require.Equal(t, "heartbeat failed 0", got[0]["msg"])
		require.NotContains(t, got[0], "repeated")
		require.Equal(t, "ERROR", got[1]["level"])
		require.Equal(t, "heartbeat failed 3999", got[2]["msg"])
		require.EqualValues(t, 3999, got[2]["repeated"])
		require.EqualValues(t, 3999, got[2]["n"])

		r.Warn("heartbeat", "once more, in the next minute", nil) // counted
		time.Sleep(repeatPeriod)
		synctest.Wait()
		require.Len(t, decoded(t, out), 4)
		time.Sleep(repeatPeriod) // in which there was none: it begins anew
		synctest.Wait()
		r.Warn("heartbeat", "first", nil)
		require.Len(t, decoded(t, out), 5)
		time.Sleep(2 * repeatPeriod)
		synctest.Wait()
		require.Empty(t, r.kinds)
	})
}

func TestAFlushTellsWhatWasCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newReader()
		r := NewRepeats(New(out, "INFO"))
		for range 3 {
			r.Warn("k", "m", nil)
		}
		r.Flush()
		r.Flush()
		got := decoded(t, out)
		require.Len(t, got, 2)
		require.EqualValues(t, 2, got[1]["repeated"])
	})
}

// Kinds without number are not remembered without bound, and what is remembered of a line
// is not larger than what is written of it.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newReader()
		r := NewRepeats(New(out, "INFO"))
		for i := range 10 * maxKinds {
			r.Warn(fmt.Sprint(i), "m", nil)
		}
		require.LessOrEqual(t, len(r.kinds), maxKinds+1)
		require.LessOrEqual(t, len(decoded(t, out)), maxKinds+1)
		huge := strings.Repeat("x", 1<<20)
		r.Warn("0", huge, openlog.Tags{"reason": huge})
		require.LessOrEqual(t, len(r.kinds["0"].last.message), maxLogged)
		require.LessOrEqual(t, len(r.kinds["0"].last.tags["reason"].(string)), maxLogged)
		r.Flush()
	})
}

func TestAStackIsOneBoundedValue(t *testing.T) {
	var deep func(int) []byte
	deep = func(n int) []byte {
		if n == 0 {
			return debug.Stack()
		}
		return deep(n - 1)
	}
	for _, n := range []int{0, 200} {
		out := newReader()
		New(out, "INFO").Error("m", openlog.WithTags(openlog.Tags{"stack": Stack(deep(n))}))
		got := decoded(t, out)
		require.Len(t, got, 1)
		require.LessOrEqual(t, len(out.all()), maxStack+200)
		require.Contains(t, got[0]["stack"], "logs/repeats_test.go:")
		require.NotContains(t, got[0]["stack"], "\t")
	}
	require.Empty(t, Stack("no stack\nat all\n").String())
}

// What a library prints by itself is a line of ours, and repetitions are counted.
func TestWhatLibrariesPrintIsALineOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newReader()
		p := printedLines{NewRepeats(New(out, "INFO"))}
		for range 50 {
			_, _ = p.Write([]byte("http: panic serving 127.0.0.1:1: boom\ngoroutine 7 [running]:\nmain.f(0x1)\n\t/src/main/f.go:7 +0x1d\n"))
		}
		p.follow(strings.NewReader("one\n\n" + strings.Repeat("x", 10000) + "\nthree"))
		got := decoded(t, out)
		require.Len(t, got, 4)
		require.Equal(t, "http: panic serving 127.0.0.1:1: boom", got[0]["reason"])
		require.Equal(t, "main/f.go:7", got[0]["stack"])
		require.Equal(t, []any{"one", strings.Repeat("x", maxLogged), "three"}, []any{got[1]["reason"], got[2]["reason"], got[3]["reason"]})
		p.log.Flush()
		got = decoded(t, out)
		require.EqualValues(t, 49, got[4]["repeated"])
	})
}
