package main

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// asker asks for services by their names over one connection.
type asker struct {
	conn            net.Conn
	request, answer []byte
}

func newAsker(tb testing.TB, at string) *asker {
	tb.Helper()
	c, err := net.Dial("tcp", at)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	return &asker{conn: c, answer: make([]byte, 16<<10)}
}

// finds says whether one service of that name was found.
func (a *asker) finds(name string) bool {
	a.request = append(append(a.request[:0], "GET "+services+"/services?ser_name="...), name...)
	a.request = fmt.Appendf(a.request, " HTTP/1.1\r\nHost: %s\r\n\r\n", a.conn.RemoteAddr())
	if _, err := a.conn.Write(a.request); err != nil {
		return false
	}
	for n := 0; n < len(a.answer); {
		more, err := a.conn.Read(a.answer[n:])
		if err != nil {
			return false
		}
		n += more
		head, body, whole := bytes.Cut(a.answer[:n], []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
		length, _, _ = bytes.Cut(length, []byte("\r\n"))
		if size, err := strconv.Atoi(string(length)); err != nil || len(body) < size {
			continue
		}
		return bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) && bytes.Contains(body, []byte(`"serName":"`+name+`"`))
	}
	return false
}

// allocates is what one call of some allocates in this process at best: what else goes on in it
// allocates too.
func allocates(some [][]string, call func(name string)) (objects, size float64) {
	objects, size = math.Inf(1), math.Inf(1)
	var before, after runtime.MemStats
	for _, names := range some {
		runtime.ReadMemStats(&before)
		for _, name := range names {
			call(name)
		}
		runtime.ReadMemStats(&after)
		objects = min(objects, float64(after.Mallocs-before.Mallocs)/float64(len(names)))
		size = min(size, float64(after.TotalAlloc-before.TotalAlloc)/float64(len(names)))
	}
	return objects, size
}

// Of very many services each is asked for seldom: its description was read and written anew when
// somebody asked for the first time, which made discovery among 100,000 a third of that among 1,000.
func TestAServiceIsFoundByItsNameForTheFirstTimeAsCheaplyAsAgain(t *testing.T) {
	at, err := inProcess()
	require.NoError(t, err)
	var few [][]string
	for i := range 4 {
		var names []string
		for n := range 40 {
			name := fmt.Sprintf("found-%d-%d", i, n)
			registered(t, at, name)
			names = append(names, name)
		}
		few = append(few, names)
	}
	registered(t, at, "found")
	a := newAsker(t, at)
	ask := func(name string) { require.True(t, a.finds(name), name) }
	for range 40 {
		ask("found")
	}
	first, firstSize := allocates(few, ask)
	again, againSize := allocates(few, ask)
	t.Logf("to find a service by its name allocates %.1f objects of %.0f bytes for the first time, and %.1f of %.0f again", first, firstSize, again, againSize)
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	require.LessOrEqual(t, first, again+5)
	require.LessOrEqual(t, firstSize, againSize+1000)
}
