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
	o        Options
	platform *platform
	measures *measures
	log      openlog.Logger
	wall     func() time.Time
	dice     dice

	mu      sync.Mutex // of all below; the loop holds it for moments only
	entries []*entry
	beats   lane
	probes  lane
	search  item // lists the application's services
	missed  int  // searches failed in a row
	saved   map[string]savedService
	dirty   bool // saved differs from the file
	started bool
}

// New makes an agent; nothing is sent before Run. Its error says all that is wrong
// with the options.
func New(o Options) (*Agent, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	m, err := newMeasures(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a := &Agent{o: o, measures: m, log: o.Log, wall: time.Now, dice: random}
	if a.log == nil {
		a.log = silent{}
	}
	if a.platform, err = newPlatform(o, m.failover); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	met := map[string]int{}
	for _, s := range o.Services {
		e := &entry{name: s.Info.SerName, service: s, well: s.Probe == nil}
		if met[e.name]++; met[e.name] > 1 {
			e.name = fmt.Sprintf("%s#%d", e.name, met[e.name])
		}
		if e.digest, err = digest(s.Info); err != nil {
			return nil, fmt.Errorf("agent: service %s: %w", e.name, err)
		}
		e.item = item{index: -1, begin: func() job { return a.next(e) }}
		e.probe = item{index: -1, begin: func() job { return a.ask(e) }}
		a.entries = append(a.entries, e)
	}
	a.search = item{index: -1, begin: func() job { return a.find }}
	return a, nil
}

func digest(info mp1.ServiceInfo) (string, error) {
	b, err := json.Marshal(info)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), err
}

var errTwice = errors.New("agent: Run may be called once")

const (
	workers     = 16 // that speak with the platform
	maxProbers  = 8  // that ask the application
	wakeCheck   = time.Second
	gracePeriod = 2 * time.Second // for what is in flight at the end
	farewell    = 9 * time.Second // from the end, for the deregistrations
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
		return errTwice
	}
	if err := a.restore(); err != nil {
		return err
	}
	now := time.Now()
	a.mu.Lock()
	for _, e := range a.entries {
		e.stage, e.item.due = unsure, now
		if e.service.Probe != nil {
			e.probe.due = now
			a.probes.put(&e.probe)
		}
	}
	a.search.due = now
	a.beats.put(&a.search)
	a.mu.Unlock()
	ended := a.loop(ctx)
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), ended.Add(farewell))
	defer cancel()
	err := a.end(last)
	a.save()
	a.platform.close()
	return err
}
