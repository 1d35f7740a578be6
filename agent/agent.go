package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Agent keeps the services of one application registered and alive while Run runs. Its
// methods may be called by several goroutines, before, during and after Run.
type Agent struct {
	options  Options
	platform *platform
	metrics  *metrics
	log      *slog.Logger
	wall     func() time.Time
	jitter   jitter
	slot     io.Closer // holds the place in the agent's name; may be nil

	mu             sync.Mutex // guards all below, and is held for moments only
	registrations  []*registration
	requests       requestQueue
	probes         timerQueue // what the application is to be asked
	pools          [3]*pool   // of the queues: urgentPool and so on
	searchTimer    timer      // one list for all services that are searching
	doubleTimer    timer      // one list for all services of which it is searched for a double
	strays         []stray    // that POSTs may have made which arrived late
	searchFailures int        // in a row
	listed         time.Time  // when the last list came
	listTook       time.Duration
	saved          map[string]savedService
	unsaved        bool // saved differs from the state file
	started        bool
	stopped        bool // Run is ending: nothing is added any more
	// termination is what the platform has announced; "": nothing.
	termination mp1.OperationAction
	byName      map[string]*registration
	sameName    map[string]int // the last number behind a name

	lateness lateness
	changes  *changeQueue  // nil without Options.OnChange
	wakened  chan struct{} // has room for one
}

// New makes an agent and sends nothing. Its error joins one for each fault of the
// options.
func New(o Options) (made *Agent, err error) {
	faults := o.check()
	name, slot := newAgentName(o.App, o.Endpoints)
	defer func() {
		if err != nil && slot != nil {
			_ = slot.Close() // nothing was written
		}
	}()
	p, err := newPlatform(o, name)
	if err = errors.Join(faults, err); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	p.onFailover = m.failover
	a := &Agent{options: o, platform: p, slot: slot, metrics: m, log: newLog(o.Log), wall: time.Now, jitter: randomJitter}
	a.byName, a.sameName = map[string]*registration{}, map[string]int{}
	for _, s := range o.Services {
		r, err := a.newRegistration(s)
		if err != nil {
			return nil, fmt.Errorf("agent: service %s: %w", printable(s.Info.SerName), err)
		}
		a.enter(r)
	}
	a.doubleTimer = timer{index: -1, start: a.doublesJob}
	a.searchTimer = timer{index: -1, start: func() job { return a.list }}
	a.pools = [...]*pool{
		urgentPool: {queue: &a.requests.urgent, usual: usualRequests, most: maxUrgent},
		otherPool:  {queue: &a.requests.other, usual: usualRequests, most: maxOther},
		probePool:  {queue: &a.probes, usual: usualProbes, most: maxProbes},
	}
	return a, nil
}

// digest tells two descriptions of a service apart.
func digest(info mp1.ServiceInfo) (string, error) {
	b, err := json.Marshal(info)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), err
}

var errRunTwice = errors.New("agent: Run may be called once")

const (
	usualRequests = 16 // of each kind at a time, while none is late
	// maxUrgent is enough for 10,000 services at 5 s and a platform 250 ms away.
	maxUrgent   = 512
	maxOther    = 64 // registrations cost a platform more than heartbeats
	usualProbes = 8
	maxProbes   = 64

	tickInterval    = time.Second
	drainTimeout    = 2 * time.Second // after the end of Run's context, for what is in flight
	shutdownTimeout = 8 * time.Second // after the same, for the deregistrations as well; the command ends at 8.5 s whatever hangs
)

// Run registers the services and keeps them alive until ctx ends. Then it removes them
// from the platform or leaves them there, as Options.OnStop says, and returns within ten
// seconds. It may be called once. With Options.OnTermination it also ends, with ErrTerminated,
// when the platform has terminated the application.
//
// Services may be added, updated and removed meanwhile, and there may be none. Run returns an
// error if some services could not be removed, if the state file is there and cannot be read
// (nothing was sent then), and if it was called before.
func (a *Agent) Run(ctx context.Context) error {
	saved, err := a.readState()
	if err != nil {
		return err
	}
	if !a.begun(saved) {
		return errRunTwice
	}
	endTelling := a.tellChanges()
	running, endWatch := a.watchTermination(ctx)
	endConfirming := a.confirmReadinessBeside(running)
	ended := a.loop(running)
	endConfirming()
	watch := endWatch()
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), ended.Add(shutdownTimeout))
	defer cancel()
	err = a.shutdown(last)
	err = a.endWatching(ctx, last, watch, err)
	a.saveState()
	a.platform.close()
	endTelling(last)
	if a.slot != nil {
		_ = a.slot.Close() // nothing was written
	}
	return err
}

// begun begins with every service, and returns false if that has happened before.
func (a *Agent) begun(saved map[string]savedService) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started {
		return false
	}
	a.started, a.saved = true, saved
	a.wakened = make(chan struct{}, 1)
	if a.options.OnChange != nil {
		a.changes = newChangeQueue()
	}
	now := time.Now()
	for _, r := range a.registrations {
		a.begin(r, now)
	}
	return true
}
