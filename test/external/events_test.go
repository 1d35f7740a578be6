package external

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
)

// readUntil reads the stream of a replica behind an id until so many changes came, and returns them
// and the id of the last. A reset fails the test, unless the id is "".
func readUntil(t *testing.T, s *mep.Server, lastID string, n int) (changes []string, id string) {
	t.Helper()
	c, err := client.New(client.Options{BaseURL: s.URL})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for e, err := range c.Events(ctx, mp1.Filter{}, lastID) {
		require.NoError(t, err)
		switch {
		case e.Reset != nil:
			require.Empty(t, lastID, "it goes on")
		case e.Change != nil:
			changes = append(changes, strings.TrimSpace(fmt.Sprint(e.Change.SerName, " ", e.Change.Change, " ", e.Change.To)))
		}
		if id = e.ID; len(changes) >= n {
			break
		}
	}
	require.Len(t, changes, n)
	return changes, id
}

// A reader goes from one replica to the other, in whatever moment, and sees each change once and
// in order; also when the replica was killed, and when etcd has forgotten its history.
func TestAReaderGoesOnAtAnotherReplica(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	_, id := readUntil(t, a, "", 0)
	var want, got []string
	change := func(at *mep.Server, n int) {
		for range n {
			name := fmt.Sprint("s", len(want))
			v := at.Register("app", name, -1)
			at.Want(http.StatusOK, http.MethodPut, v.Location, strings.Replace(mep.Info(name, -1), `"ACTIVE"`, `"INACTIVE"`, 1))
			want = append(want, name+" ADDED ACTIVE", name+" STATE_CHANGED INACTIVE")
		}
	}
	read := func(at *mep.Server, n int) {
		var more []string
		more, id = readUntil(t, at, id, n)
		got = append(got, more...)
	}
	for i := range 4 {
		change([]*mep.Server{a, b}[i%2], 5)
		read(a, 3)
		read(b, 3)
		read(a, 4) // at once: it may not have seen yet what b has shown
	}
	b.Kill()
	change(a, 5)
	require.NoError(t, c.Compact())
	b.Restart()
	read(b, 10)
	require.Equal(t, want, got)

	_, own := readUntil(t, a, "", 0)
	require.Equal(t, id, own, "a stream that begins now is where the others are")
}
