package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
)

// Agent registers services and keeps them alive while Run runs.
type Agent struct {
	options  Options
	platform *platform
	metrics  *metrics
	log      openlog.Logger
	wall     func() time.Time
	jitter   jitter

	mu             sync.Mutex // of all below; the loop holds it for moments only
	registrations  []*registration
	requests       timerQueue
	probes         timerQueue
	searchTimer    timer // lists the application's services
	searchFailures int   // searches failed in a row
	saved          map[string]savedService
	unsaved        bool // saved differs from the file
	started        bool
}

// New makes an agent; nothing is sent before Run. Its error says all that is wrong
// with the options.
func New(o Options) (*Agent, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a := &Agent{options: o, metrics: m, log: o.Log, wall: time.Now, jitter: randomJitter}
	if a.log == nil {
		a.log = noLog{}
	}
	if a.platform, err = newPlatform(o, m.failover); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	met := map[string]int{}
	for _, s := range o.Services {
		r := &registration{name: s.Info.SerName, service: s, stage: searching, healthy: s.Probe == nil}
		if met[r.name]++; met[r.name] > 1 {
			r.name = fmt.Sprintf("%s#%d", r.name, met[r.name])
		}
		if r.digest, err = digest(s.Info); err != nil {
			return nil, fmt.Errorf("agent: service %s: %w", r.name, err)
		}
		r.timer = timer{index: -1, start: func() job { return a.request(r) }}
		r.probeTimer = timer{index: -1, start: func() job { return a.runProbe(r) }}
		a.registrations = append(a.registrations, r)
	}
	a.searchTimer = timer{index: -1, start: func() job { return a.list }}
	return a, nil
}

func digest(info mp1.ServiceInfo) (string, error) {
	b, err := json.Marshal(info)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), err
}

var errRunTwice = errors.New("agent: Run may be called once")

const (
	requestWorkers  = 16 // that speak with the platform
	maxProbeWorkers = 8  // that ask the application
	tickInterval    = time.Second
	drainTimeout    = 2 * time.Second // for what is in flight at the end
	shutdownTimeout = 9 * time.Second // from the end, for the deregistrations
)

// Run keeps the services alive until ctx ends, then removes them or leaves them as
// Options.OnStop says. It returns within ten seconds of the end of ctx, with an error
// if some could not be removed. It may be called once.
func (a *Agent) Run(ctx context.Context) error {
	a.mu.Lock()
	twice := a.started
	a.started = true
	a.mu.Unlock()
	if twice {
		return errRunTwice
	}
	if err := a.loadState(); err != nil {
		return err
	}
	now := time.Now()
	a.mu.Lock()
	for _, r := range a.registrations {
		r.timer.due = now
		if r.service.Probe != nil {
			r.probeTimer.due = now
			a.probes.put(&r.probeTimer)
		}
	}
	a.searchTimer.due = now
	a.requests.put(&a.searchTimer)
	a.mu.Unlock()
	ended := a.loop(ctx)
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), ended.Add(shutdownTimeout))
	defer cancel()
	err := a.deregister(last)
	a.saveState()
	a.platform.close()
	return err
}
