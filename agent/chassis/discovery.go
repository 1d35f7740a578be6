package chassis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/go-chassis/v2/pkg/util/tags"
	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

const (
	discoverer   = "discovery"      // a name of its own for the agent that asks: the platform is not told it
	askTimeout   = 10 * time.Second // of one question, to all endpoints
	failurePause = time.Second      // a name whose first question failed is not asked for sooner
	forgetTime   = 10 * time.Minute // a name that nobody asks for is not asked for any more
)

// finder asks the platform for the services of a name.
type finder func(ctx context.Context, name string) ([]mp1.ServiceInfo, error)

// discovery implements registry.ServiceDiscovery. go-chassis asks it before each call, so
// that it answers from what it knows: a name is asked for when it is wanted first, and then
// again and again. If the platform does not answer, what it said last stays.
type discovery struct {
	find    finder
	fault   error // of the settings
	refresh time.Duration
	end     context.CancelFunc
	ctx     context.Context // ends with Close

	mu    sync.Mutex
	names map[string]*provider
}

// provider is what is known of the services of a name.
type provider struct {
	asking chan struct{} // has room for one: who asks the platform

	mu        sync.Mutex
	answered  bool // once at least
	instances []*registry.MicroServiceInstance
	err       error // of the last question
	asked     time.Time
	wanted    time.Time // by a call
}

func newDiscovery(o Options, r registry.Options, from source) *discovery {
	s, err := readSettings(o, r, from)
	d := &discovery{fault: err, refresh: s.refresh, names: map[string]*provider{}}
	d.ctx, d.end = context.WithCancel(context.Background())
	warnOfWatch(from)
	if err != nil {
		return d
	}
	a, err := agent.New(s.agent(discoverer)) // it never runs, so that it keeps nothing
	if err != nil {
		d.fault = err
		return d
	}
	d.find = a.Discover
	return d
}

// FindMicroServiceInstances implements registry.ServiceDiscovery: the services of that name
// that are ACTIVE and that the tags choose.
func (d *discovery) FindMicroServiceInstances(_, serviceName string, tags utiltags.Tags) ([]*registry.MicroServiceInstance, error) {
	if d.fault != nil {
		return nil, d.fault
	}
	p := d.wanted(serviceName)
	if all, err, enough := p.known(); enough {
		return choose(all, tags), err
	}
	d.ask(serviceName, p, false)
	all, err, _ := p.known()
	return choose(all, tags), err
}

// wanted notes that a call wants a name.
func (d *discovery) wanted(serviceName string) *provider {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.names[serviceName]
	if p == nil {
		p = &provider{asking: make(chan struct{}, 1)}
		d.names[serviceName] = p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = time.Now()
	return p
}

// known returns what is known, and whether that is enough for a call: the platform has
// answered, or has just failed to.
func (p *provider) known() (all []*registry.MicroServiceInstance, err error, enough bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered {
		return p.instances, nil, true
	}
	return nil, p.err, p.err != nil && time.Since(p.asked) < failurePause
}

// ask asks the platform for a name. Of calls that want it at once, one asks and the others
// wait for its answer. again is true if an answer is there already.
func (d *discovery) ask(serviceName string, p *provider, again bool) {
	p.asking <- struct{}{}
	defer func() { <-p.asking }()
	if _, _, enough := p.known(); enough && !again {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, askTimeout)
	defer cancel()
	list, err := d.find(ctx, serviceName)
	var up []*registry.MicroServiceInstance
	for i := range list {
		if one, ok := instanceOf(&list[i]); ok && list[i].State == mp1.Active && list[i].SerName == serviceName {
			up = append(up, one)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed := p.err != nil; failed != (err != nil) {
		logChange(serviceName, err)
	}
	p.asked, p.err = time.Now(), err
	if err == nil {
		p.answered, p.instances = true, up
	}
}

func logChange(serviceName string, err error) {
	if err != nil {
		openlog.Warn("the platform does not answer; what it said last counts", openlog.WithTags(openlog.Tags{"service": serviceName, "reason": err.Error()}))
		return
	}
	openlog.Info("the platform answers again", openlog.WithTags(openlog.Tags{"service": serviceName}))
}

// AutoSync implements registry.ServiceDiscovery: until Close, the platform is asked again for
// every name that calls want.
func (d *discovery) AutoSync() {
	if d.fault != nil {
		return
	}
	go func() {
		tick := time.NewTicker(d.refresh)
		defer tick.Stop()
		for {
			select {
			case <-d.ctx.Done():
				return
			case <-tick.C:
				d.askAgain()
			}
		}
	}()
}

// askAgain asks for every name, until the platform does not answer: the others would wait
// for nothing.
func (d *discovery) askAgain() {
	d.mu.Lock()
	all := make(map[string]*provider, len(d.names))
	for serviceName, p := range d.names {
		p.mu.Lock()
		forgotten := time.Since(p.wanted) > forgetTime
		p.mu.Unlock()
		if forgotten {
			delete(d.names, serviceName)
			continue
		}
		all[serviceName] = p
	}
	d.mu.Unlock()
	for serviceName, p := range all {
		d.ask(serviceName, p, true)
		if p.silent() {
			return
		}
	}
}

// silent reports whether the platform has not answered the last question. A refusal is an
// answer.
func (p *provider) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *client.Problem
	return p.err != nil && !errors.As(p.err, &refused)
}

// GetMicroService implements registry.ServiceDiscovery. go-chassis asks for its own before it
// registers again, which is the agent's part; the platform has no microservices.
func (d *discovery) GetMicroService(id string) (*registry.MicroService, error) {
	if id == "" {
		return nil, errUnknown
	}
	return &registry.MicroService{ServiceID: id}, nil
}

// Close implements registry.ServiceDiscovery.
func (d *discovery) Close() error {
	d.end()
	return nil
}
