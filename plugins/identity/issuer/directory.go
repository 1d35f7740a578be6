package issuer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// mostStale is how long a token may outlive its credential. A replica that does not know
	// what was written until then refuses all tokens: the removal of one may be among it.
	mostStale = 2 * time.Second
	maxReads  = 16 // credentials that the store is asked for at a time
)

// entry is a credential as this replica has seen it. One that was erased here stays until the
// watch has shown that; otherwise an older write of the watch would bring it back.
type entry struct {
	plugins.Credential
	erased bool
}

// directory holds the credentials as this replica has seen them. Requests read it without a
// lock.
type directory struct {
	store  plugins.Credentials
	alone  bool // nobody else writes the store
	now    func() time.Time
	absent *plugins.Absences // by id and generation, as tokens name them
	loaded atomic.Bool
	asOf   atomic.Pointer[time.Time] // everything that was written before was shown
	byID   sync.Map                  // *entry

	mu   sync.Mutex // of changes
	seen heartbeat.Revision
}

func newDirectory(store plugins.Credentials, alone bool, now func() time.Time) *directory {
	began := now()
	clock := func() (plugins.Instant, int64) { return now().Sub(began), 0 }
	return &directory{store: store, alone: alone, now: now, absent: plugins.NewAbsences(clock, maxReads)}
}

// ready says whether the directory can be relied on.
func (d *directory) ready() bool { return d.loaded.Load() && (d.alone || d.asOf.Load() != nil) }

// get is a credential as this replica has seen it; nil: there is none.
func (d *directory) get(id string) *entry {
	if v, ok := d.byID.Load(id); ok {
		if e := v.(*entry); !e.erased {
			return e
		}
	}
	return nil
}

// load takes in a list of all credentials at a revision.
func (d *directory) load(all []plugins.Credential, at heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	restored := at < d.seen // what came later never happened
	listed := map[string]bool{}
	for _, c := range all {
		listed[c.ID] = true
		if e := d.entryOf(c.ID); e != nil && (restored || e.At > c.At && e.At <= at) {
			d.byID.Delete(c.ID) // so was it here, though its revision does not tell
		}
		d.apply(c, false)
	}
	d.byID.Range(func(id, v any) bool {
		if !listed[id.(string)] && (restored || v.(*entry).At <= at) {
			d.byID.Delete(id)
		}
		return true
	})
	d.seen = at
	d.loaded.Store(true)
}

// see takes in one write of the watch.
func (d *directory) see(c plugins.Credential, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(c, erased)
	if e := d.entryOf(c.ID); e != nil && e.erased && e.At <= c.At { // now it is shown
		d.byID.Delete(c.ID)
	}
	d.seen = max(d.seen, c.At)
}

// observe takes in what this replica read or wrote itself. A read that is older than the
// watch is ignored, for the credential may have been erased since.
func (d *directory) observe(c plugins.Credential, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.At > d.seen || d.entryOf(c.ID) != nil {
		d.apply(c, erased)
	}
}

// apply replaces the entry if c is newer; d.mu is held.
func (d *directory) apply(c plugins.Credential, erased bool) {
	if old := d.entryOf(c.ID); old == nil || old.At < c.At {
		d.byID.Store(c.ID, &entry{c, erased})
	}
}

func (d *directory) entryOf(id string) *entry {
	if v, ok := d.byID.Load(id); ok {
		return v.(*entry)
	}
	return nil
}

// current takes in up to when everything was shown.
func (d *directory) current(asOf time.Time) { d.asOf.Store(&asOf) }

// stale says whether a removal may be unknown here that was made longer than mostStale ago.
func (d *directory) stale() bool { return d.age() > mostStale }

// age is how old what is known here may be.
func (d *directory) age() time.Duration {
	if d.alone {
		return 0
	}
	asOf := d.asOf.Load()
	if asOf == nil {
		return mostStale + 1
	}
	return d.now().Sub(*asOf)
}

// check says whether a credential still has the generation that a token names, from memory
// alone.
func (d *directory) check(id, generation string) error {
	switch e := d.get(id); {
	case e == nil || e.Generation != generation:
		return server.ErrCredential
	case d.stale():
		return heartbeat.ErrUnavailable
	}
	return nil
}

// checkNew is check for a token that was not seen before: another replica may just have made
// its credential, so the store is asked before it is refused.
func (d *directory) checkNew(ctx context.Context, id, generation string) error {
	if e := d.get(id); e != nil && e.Generation == generation || d.alone || d.absent.Recent(id+" "+generation) {
		return d.check(id, generation)
	}
	c, err := d.read(ctx, id)
	switch {
	case err != nil:
		return err
	case c.Generation != generation:
		d.absent.Note(id + " " + generation)
		return server.ErrCredential
	}
	return nil
}

// read reads a credential from the store. So many at a time do that maxReads bounds.
func (d *directory) read(ctx context.Context, id string) (plugins.Credential, error) {
	end, err := d.absent.Read(ctx)
	if err != nil {
		return plugins.Credential{}, err
	}
	defer end()
	c, err := d.store.Credential(ctx, id)
	if err != nil {
		return plugins.Credential{}, heartbeat.ErrUnavailable
	}
	if c.At != 0 {
		d.observe(c, false)
	}
	return c, nil
}

// list is all credentials that this replica has seen.
func (d *directory) list() (all []plugins.Credential) {
	d.byID.Range(func(_, v any) bool {
		if e := v.(*entry); !e.erased {
			all = append(all, e.Credential)
		}
		return true
	})
	return all
}

// listed is list for those whose list can fail.
func (d *directory) listed(context.Context) ([]plugins.Credential, error) { return d.list(), nil }

// count is how many credentials there are.
func (d *directory) count() int { return len(d.list()) }
