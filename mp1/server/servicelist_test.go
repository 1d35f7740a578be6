package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// fakeMemory is a ResponseMemory of so many bytes.
type fakeMemory struct{ left int64 }

func (p *fakeMemory) Reserve(n int64) (func(), bool) {
	if n > p.left {
		return nil, false
	}
	p.left -= n
	return func() { p.left += n }, true
}

func newServices(n, padding int) (out []*Service) {
	for i := range n {
		out = append(out, NewService("app", mp1.ServiceInfo{SerInstanceID: fmt.Sprint("id", i), SerName: strings.Repeat("n", padding), Version: "1", State: mp1.Active, Serializer: "JSON"}, 5))
	}
	return out
}

// A list must be the same JSON wherever one write ends and the next begins.
func TestAListIsTheSameInPieces(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50} {
		for _, padding := range []int{1, listBufferSize - 600, listBufferSize - 3, listBufferSize, 3 * listBufferSize} {
			for _, prefix := range []string{"", mepPrefix} {
				all := newServices(n, padding)
				d := newFakeRegistry()
				d.found = all
				if n == 0 {
					d.found = []*Service{}
				}
				var want []string
				for _, s := range all {
					want = append(want, string(s.represent(prefix).body))
				}
				w := request(d, "GET", prefix+mp1.Base+"/services", nil)
				require.Equal(t, 200, w.Code)
				require.Equal(t, "["+strings.Join(want, ",")+"]\n", w.Body.String())
				require.Equal(t, strconv.Itoa(w.Body.Len()), w.Header().Get("Content-Length"))
				require.True(t, json.Valid(w.Body.Bytes()))
				head := request(d, "HEAD", prefix+mp1.Base+"/services", nil)
				require.Equal(t, w.Header(), head.Header())
				require.Zero(t, head.Body.Len())
			}
		}
	}
}

// discarded is a client that reads: it keeps nothing but the size of the largest write.
type discarded struct {
	header  http.Header
	largest int
	total   int64
}

func (d *discarded) Header() http.Header { return d.header }
func (d *discarded) WriteHeader(int)     {}
func (d *discarded) Write(p []byte) (int, error) {
	d.largest = max(d.largest, len(p))
	d.total += int64(len(p))
	return len(p), nil
}

// A list of 20,000 services is some 16 MB. Whoever reads it costs a buffer, however long it is: to
// build it whole, for each reader, would take it all again.
func TestAListTakesNoMoreMemoryTheLongerItIs(t *testing.T) {
	s := &api{registry: newFakeRegistry()}
	const n = 20_000
	all := newServices(n, 100)
	read := func() (d *discarded, allocated uint64) {
		d = &discarded{header: http.Header{}}
		r := httptest.NewRequest("GET", "/", nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, s.writeServices(d, r, all, ""))
		runtime.ReadMemStats(&after)
		return d, after.TotalAlloc - before.TotalAlloc
	}
	first, _ := read() // each service is encoded for it, and for all that follow
	require.Greater(t, first.total, int64(n*200))
	require.LessOrEqual(t, first.largest, listBufferSize)
	again, allocated := read()
	require.Equal(t, first.total, again.total)
	require.Less(t, allocated, uint64(8*listBufferSize), "for %d bytes", again.total)
}

func TestAListThatManyReadIsHeldOnce(t *testing.T) {
	p := &fakeMemory{5*readerCost + 1000*pointerSize}
	var rs sharedLists
	list := newServices(1000, 1)
	var releases []func()
	for range 5 {
		release, ok := rs.reserve(p, list)
		require.True(t, ok)
		releases = append(releases, release)
	}
	require.Zero(t, p.left)
	_, ok := rs.reserve(p, list)
	require.False(t, ok)
	releases[0]()
	_, ok = rs.reserve(p, newServices(1000, 1))
	require.False(t, ok, "another list is held by itself")
	require.EqualValues(t, readerCost, p.left, "and what was refused holds nothing")
	for _, release := range releases[1:] {
		release()
	}
	require.EqualValues(t, 5*readerCost+1000*pointerSize, p.left)
	require.Empty(t, rs.byFirst)

	s := &api{registry: newFakeRegistry(), options: Options{ResponseMemory: &fakeMemory{readerCost}, RetryAfter: 3}}
	w := httptest.NewRecorder()
	require.NoError(t, s.writeServices(w, httptest.NewRequest("GET", "/", nil), nil, ""))
	require.Equal(t, "[]\n", w.Body.String())
	require.ErrorIs(t, s.writeServices(w, httptest.NewRequest("GET", "/", nil), list, ""), ErrUnread)
	require.True(t, bytes.Equal([]byte("[]\n"), w.Body.Bytes()))
}
