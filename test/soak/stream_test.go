package soak

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// streamReader reads the event stream over all that happens to the platform, and holds it against
// the promise: each change exactly once, and in order. Each says the state before it, so one that
// is missing shows.
type streamReader struct {
	w *world

	mu      sync.Mutex
	last    map[string]mp1.State // of what there is
	newest  int64                // revision
	changes int
	resets  int
	lost    int // connections
	wrong   int
}

// readStream reads until ctx ends.
func (w *world) readStream(ctx context.Context) *streamReader {
	r := &streamReader{w: w, last: map[string]mp1.State{}}
	c, err := client.New(client.Options{BaseURL: w.server.URL})
	require.NoError(w.t, err)
	go func() {
		for e, err := range c.Events(ctx, mp1.Filter{}, "") {
			r.take(e, err)
		}
	}()
	return r
}

func (r *streamReader) take(e client.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.lost++
	case e.Reset != nil:
		if r.resets++; r.resets > 1 {
			r.breach("it began anew at revision %d, behind %d", e.Reset.Revision, r.newest)
		}
		clear(r.last)
		for _, s := range e.Reset.Services {
			r.last[s.SerInstanceID] = s.State
		}
		r.newest = e.Reset.Revision
	case e.Change != nil:
		r.changes++
		r.follow(e.ID, e.Change)
	}
}

// follow checks that a change may follow what was shown before; mu is held.
func (r *streamReader) follow(id string, c *mp1.ServiceChange) {
	before, there := r.last[c.SerInstanceID]
	if id != strconv.FormatInt(c.Revision, 10) || c.Revision <= r.newest {
		r.breach("revision %d, with the id %s, came after %d", c.Revision, id, r.newest)
	}
	r.newest = max(r.newest, c.Revision)
	if there == (c.Change == mp1.Added) || c.From != before {
		r.breach("%s: %s from %q to %q came, and it was %q", c.SerInstanceID, c.Change, c.From, c.To, before)
	}
	if c.Change == mp1.Removed {
		delete(r.last, c.SerInstanceID)
		return
	}
	r.last[c.SerInstanceID] = c.To
}

// breach notes a broken promise; mu is held.
func (r *streamReader) breach(format string, args ...any) {
	r.wrong++
	r.w.mu.Lock()
	r.w.fault("stream: "+format, args...)
	r.w.mu.Unlock()
}

// behind are what the stream has shown otherwise than the platform says.
func (r *streamReader) behind(is map[string]string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, state := range is {
		if string(r.last[id]) != state {
			out = append(out, fmt.Sprintf("stream: %s is %s, and %q was shown last", id, state, r.last[id]))
		}
	}
	if len(r.last) > len(is) {
		out = append(out, fmt.Sprintf("stream: it shows %d services, and there are %d", len(r.last), len(is)))
	}
	return out
}

// settleStream waits until the stream agrees with the platform, and notes what does not.
func (w *world) settleStream(r *streamReader) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if is := w.states(); is != nil && len(r.behind(is)) == 0 {
			return
		}
	}
	for _, d := range r.behind(w.states()) {
		w.mu.Lock()
		w.fault("%s", d)
		w.mu.Unlock()
	}
}

// What the soak must not let pass.
func TestTheSoakNoticesWhatTheStreamLacks(t *testing.T) {
	change := func(at int64, kind mp1.ChangeType, from, to mp1.State) client.Event {
		return client.Event{ID: strconv.FormatInt(at, 10), Change: &mp1.ServiceChange{Revision: at, SerInstanceID: "a", Change: kind, From: from, To: to}}
	}
	reset := client.Event{ID: "5", Reset: &mp1.ServiceReset{Revision: 5, Services: []mp1.ServiceStatus{{SerInstanceID: "a", State: mp1.Active}}}}
	for name, c := range map[string]struct {
		events []client.Event
		wrong  int
	}{
		"nothing":        {[]client.Event{reset, change(6, mp1.StateChanged, mp1.Active, mp1.Suspended), change(9, mp1.Removed, mp1.Suspended, ""), change(10, mp1.Added, "", mp1.Active)}, 0},
		"a second reset": {[]client.Event{reset, reset}, 1},
		"a double":       {[]client.Event{reset, change(6, mp1.AttributesChanged, mp1.Active, mp1.Active), change(6, mp1.AttributesChanged, mp1.Active, mp1.Active)}, 1},
		"a gap":          {[]client.Event{reset, change(6, mp1.StateChanged, mp1.Suspended, mp1.Active)}, 1},
		"added twice":    {[]client.Event{reset, change(6, mp1.Added, "", mp1.Active)}, 1},
		"before it":      {[]client.Event{reset, change(4, mp1.StateChanged, mp1.Active, mp1.Suspended)}, 1},
		"after it went":  {[]client.Event{reset, change(6, mp1.Removed, mp1.Active, ""), change(7, mp1.StateChanged, "", mp1.Active)}, 1},
	} {
		r := &streamReader{w: &world{t: t}, last: map[string]mp1.State{}}
		for _, e := range c.events {
			r.take(e, nil)
		}
		require.Equal(t, c.wrong, r.wrong, "%s: %v", name, r.w.faults)
	}
	r := &streamReader{last: map[string]mp1.State{"a": mp1.Active}}
	require.Empty(t, r.behind(map[string]string{"a": "ACTIVE"}))
	require.Len(t, r.behind(map[string]string{"a": "SUSPENDED"}), 1)
	require.Len(t, r.behind(map[string]string{"b": "ACTIVE"}), 1)
	require.Len(t, r.behind(map[string]string{}), 1)
}
