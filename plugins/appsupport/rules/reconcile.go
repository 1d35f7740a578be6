package rules

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

const (
	// resyncEvery is how often everything that is served is given to the driver again: somebody
	// may have changed it there.
	resyncEvery = 60 * time.Second
	// leadEvery is how often a replica looks whether it is the one that calls a shared driver.
	leadEvery   = time.Second
	setTimeout  = 10 * time.Second
	firstRetry  = time.Second
	longestWait = time.Minute
	// lostAfter is how long a driver must have failed before what it confirmed counts no more.
	lostAfter = time.Minute
)

// backoff is how long to wait after so many failures in a row.
func backoff(failures int) time.Duration {
	return min(firstRetry<<min(failures-1, 10), longestWait)
}

// reconciler has the driver serve what is wanted, and writes down the results of its calls.
type reconciler struct {
	*keeper
	rank    func() int // plugins.Base.Rank
	report  *driverReport
	signals chan struct{} // of 1: there may be something to do
}

// leads says whether this replica writes down the results of drivers, and calls the shared ones:
// it is alone, or the first of several. Two may think so for a moment, which does no harm.
func (r *reconciler) leads() bool { return r.rank() <= 1 }

func (r *reconciler) signal() {
	select {
	case r.signals <- struct{}{}:
	default:
	}
}

// recordResults writes down the results of the driver for names of an application.
func (r *reconciler) recordResults(ctx context.Context, app string, results map[plugins.RuleName]result) error {
	for range maxRounds {
		now := r.peek(app)
		_, wall := r.clock()
		out, changed := withResults(&now, results, r.driver, wall)
		if !changed {
			return nil
		}
		erased := len(out.DNS)+len(out.Traffic)+len(out.Removed) == 0
		var err error
		if erased {
			out.At, err = r.store.EraseRules(ctx, out.App, now.At)
		} else {
			out.At, err = r.store.SaveRules(ctx, out)
		}
		switch {
		case err == nil:
			r.observe(out, erased)
			return nil
		case !errors.Is(err, heartbeat.ErrConflict):
			return err
		}
		fresh, err := r.store.Rules(ctx, app)
		switch {
		case err != nil:
			return err
		case fresh.At == 0: // it was removed meanwhile, which the watch is about to show
			return nil
		}
		r.observe(fresh, false)
	}
	return heartbeat.ErrUnavailable
}

// whole has a driver that takes everything at once serve what is wanted.
type whole struct {
	reconciler
	dns   driver.Whole
	local bool
	dirty bool // something may have changed since the driver was given everything
}

// changed is directory.changed.
func (w *whole) changed(was, now plugins.Rules) {
	if len(unsettled(&now, w.driver)) > 0 || !sameRecords(&was, &now) {
		w.signal()
	}
}

// sameRecords says whether all names have the same records.
func sameRecords(a, b *plugins.Rules) bool {
	return maps.EqualFunc(recordsOf(a), recordsOf(b), slices.Equal[[]driver.Record])
}

// recordsOf are the records that the names of an application are to have.
func recordsOf(r *plugins.Rules) map[plugins.RuleName][]driver.Record {
	out := map[plugins.RuleName][]driver.Record{}
	for _, n := range active(r) {
		out[n] = wanted(r, n)
	}
	return out
}

// run gives the driver everything at the start, after each change, after a failure and from
// time to time.
func (w *whole) run(ctx context.Context) {
	failures, led := 0, false
	var failingSince, due plugins.Instant
	for ctx.Err() == nil {
		now, _ := w.clock()
		lead := w.leads()
		gained := lead && !led
		if !lead && !w.local {
			failures, failingSince = 0, 0
			w.report.reset()
		}
		if led = lead; w.loaded.Load() && (w.local || lead) && (gained || now >= due || w.dirty) {
			w.dirty = false
			switch err := w.setAll(ctx, failingSince); {
			case err == nil:
				failures, failingSince, due = 0, 0, now+resyncEvery
			case failures == 0:
				failures, failingSince, due = 1, now, now+backoff(1)
			case now >= due: // what is tried early, for it was changed, makes nothing wait longer
				failures++
				due = now + backoff(failures)
			}
		}
		wait := leadEvery
		if w.loaded.Load() && (w.local || lead) {
			wait = max(min(due-now, leadEvery), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.signals:
			w.dirty = true
		case <-timer.C:
		}
		timer.Stop()
	}
}

// setAll gives the driver everything. failingSince is since when it fails; 0: it does not.
func (w *whole) setAll(ctx context.Context, failingSince plugins.Instant) error {
	docs := w.all()
	everything := map[driver.Name][]driver.Record{}
	for i := range docs {
		for n, records := range recordsOf(&docs[i]) {
			everything[driver.Name(n)] = append(everything[driver.Name(n)], records...)
		}
	}
	call, cancel := context.WithTimeout(ctx, setTimeout)
	leftOut, failed := refusals(w.dns.SetAll(call, everything))
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.report.recordCall("", failed)
	if !w.leads() {
		return failed
	}
	now, _ := w.clock()
	lost := failingSince != 0 && now-failingSince >= lostAfter
	var unwritten error
	for _, doc := range docs {
		all := unsettled(&doc, w.driver)
		if lost || len(leftOut) > 0 {
			all = append(all, active(&doc)...)
		}
		if len(all) == 0 {
			continue
		}
		results := map[plugins.RuleName]result{}
		for _, n := range all {
			results[n] = result{sent: doc, err: failed, lost: lost}
			if why, out := leftOut[driver.Name(n)]; out {
				results[n] = result{sent: doc, err: why}
			}
		}
		if err := w.recordResults(ctx, doc.App, results); err != nil {
			unwritten = err
		}
	}
	return errors.Join(failed, unwritten)
}

// nameLocks has one caller at a time for each name.
type nameLocks struct {
	mu   sync.Mutex
	held map[plugins.RuleName]chan struct{}
}

// lock waits until nobody else has the name, and returns its release; nil: ctx has ended.
func (l *nameLocks) lock(ctx context.Context, n plugins.RuleName) (unlock func()) {
	for {
		l.mu.Lock()
		c := l.held[n]
		if c == nil {
			c = make(chan struct{})
			l.held[n] = c
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, n)
				l.mu.Unlock()
				close(c)
			}
		}
		l.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return nil
		}
	}
}
