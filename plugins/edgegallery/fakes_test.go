package edgegallery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeStore keeps deployments, and fails while down.
type fakeStore struct {
	plugins.DeploymentStore
	mu   sync.Mutex
	at   heartbeat.Revision
	kept map[string]plugins.Deployment
	down bool
	full bool
	// refused is an application that is not saved; saving, unless nil, is called before one is.
	refused string
	asked   int // to save
	named   heartbeat.Revision
	saving  func()
}

func (s *fakeStore) Deployment(_ context.Context, app string) (plugins.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return plugins.Deployment{}, heartbeat.ErrUnavailable
	}
	if d, ok := s.kept[app]; ok {
		return d, nil
	}
	return plugins.Deployment{App: app}, nil
}

func (s *fakeStore) SaveDeployment(_ context.Context, d plugins.Deployment) (heartbeat.Revision, error) {
	if s.saving != nil {
		s.saving()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch {
	case s.down:
		return 0, heartbeat.ErrUnavailable
	case s.full:
		return 0, heartbeat.ErrFull
	case d.App == s.refused:
		return 0, heartbeat.ErrNoAdditions
	case s.kept[d.App].At != d.At:
		return 0, heartbeat.ErrConflict
	}
	s.at++
	d.At = s.at
	s.kept[d.App] = d
	return d.At, nil
}

func (s *fakeStore) DeploymentNames(context.Context) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, heartbeat.ErrUnavailable
	}
	return s.named, nil
}

func (s *fakeStore) SaveNamedDeployment(ctx context.Context, d plugins.Deployment, names heartbeat.Revision) (heartbeat.Revision, error) {
	s.mu.Lock()
	stale := names != s.named
	s.mu.Unlock()
	if stale {
		return 0, heartbeat.ErrConflict
	}
	at, err := s.SaveDeployment(ctx, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.named = at
	}
	return at, err
}

func (s *fakeStore) EraseDeployment(_ context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return 0, heartbeat.ErrUnavailable
	case s.kept[app].At != at:
		return 0, heartbeat.ErrConflict
	}
	s.at++
	delete(s.kept, app)
	return s.at, nil
}

func (s *fakeStore) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *fakeStore) get(app string) plugins.Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[app]
}

// fakeRules keeps rules. reason, unless it is "", is why the driver fails with rules that have a
// domain name; silent says that it says nothing.
type fakeRules struct {
	server.Rules
	mu      sync.Mutex
	of      map[string]plugins.Rules
	reason  string
	silent  bool
	refuses error
	defined []int // how many DNS rules each definition had
}

// set changes how the driver behaves.
func (r *fakeRules) set(reason string, silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason, r.silent = reason, silent
}

func (r *fakeRules) Check(context.Context, string, mp1.RuleSet) error { return r.refuses }

func (r *fakeRules) Define(_ context.Context, app string, s mp1.RuleSet) (plugins.Rules, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuses != nil {
		return plugins.Rules{}, r.refuses
	}
	r.defined = append(r.defined, len(s.DNSRules))
	out := plugins.Rules{App: app, At: 1}
	for _, one := range s.DNSRules {
		o := plugins.RuleOutcome{State: one.State, Driver: "fake"}
		switch {
		case r.silent:
			o.Driver, o.State = "", mp1.RuleInactive
		case r.reason != "":
			o.Reason, o.State = r.reason, mp1.RuleInactive
		}
		out.DNS = append(out.DNS, plugins.DNSRule{Defined: one, Rule: one, Outcome: o})
	}
	for _, one := range s.TrafficRules {
		out.Traffic = append(out.Traffic, plugins.TrafficRule{Defined: one, Rule: one})
	}
	r.of[app] = out
	return out, nil
}

func (r *fakeRules) Defined(_ context.Context, app string) (plugins.Rules, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[app], nil
}

func (r *fakeRules) DNSRules(_ context.Context, app string) (out []mp1.DNSRule, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.of[app].DNS {
		out = append(out, one.Rule)
	}
	return out, nil
}

func (r *fakeRules) TrafficRules(_ context.Context, app string) (out []mp1.TrafficRule, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.of[app].Traffic {
		out = append(out, one.Rule)
	}
	return out, nil
}

// fakeLife remembers which terminations began.
type fakeLife struct {
	server.Registrations
	mu    sync.Mutex
	begun map[string]uint32
	gone  []string // at once
	err   error
}

func (l *fakeLife) DeregisterApplication(_ context.Context, app string, _ func(mp1.AppInfo) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil && !errors.Is(l.err, server.ErrTerminating) {
		return l.err
	}
	l.gone = append(l.gone, app)
	return nil
}

// fakeTerminations are subscriptions of applications to their termination.
type fakeTerminations struct {
	server.Subscriptions
	of map[string][]*server.Subscription
}

func (s fakeTerminations) SubscriptionsOf(_ context.Context, app string) ([]*server.Subscription, error) {
	return s.of[app], nil
}

func (l *fakeLife) BeginTermination(_ context.Context, app string, seconds uint32, _ func(mp1.AppInfo) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.begun[app] = seconds
	}
	return l.err
}

func (l *fakeLife) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// silentLog drops what is logged, and counts warnings.
type silentLog struct {
	openlog.Logger
	mu       *sync.Mutex
	warnings *[]string
}

func newSilentLog() silentLog { return silentLog{mu: &sync.Mutex{}, warnings: &[]string{}} }

func (l silentLog) Info(string, ...openlog.Option) {}

func (l silentLog) Warn(text string, _ ...openlog.Option) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.warnings = append(*l.warnings, text)
}

func (l silentLog) Error(text string, _ ...openlog.Option) { l.Warn(text) }

func (l silentLog) said() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), *l.warnings...)
}

// site is a platform whose worker runs.
type site struct {
	router
	store    *fakeStore
	rules    *fakeRules
	life     *fakeLife
	services *fakeRegistry
	log      silentLog
	platform *platform
	kept     *deployments
	work     *worker
	gone     atomic.Bool // the application is being removed
	rank     atomic.Int64
}

func newSite() *site {
	s := &site{store: &fakeStore{kept: map[string]plugins.Deployment{}}, rules: &fakeRules{of: map[string]plugins.Rules{}}, life: &fakeLife{begun: map[string]uint32{}}, log: newSilentLog()}
	p, r, _ := newPlatform()
	s.platform, s.services = p, r
	s.kept = newDeployments(s.store, plugins.NewClock())
	p.configuration = &configuration{deployments: s.kept, definer: s.rules, rules: s.rules, admitted: func(context.Context, string) (bool, error) { return !s.gone.Load(), nil }, creating: make(chan struct{}, 1)}
	p.terminator = &terminator{deployments: s.kept, services: r, registrations: s.life, log: s.log, unsaved: map[string]bool{}, waits: map[string]wait{}, dropped: newDropped()}
	s.work = &worker{configuration: p.configuration, rank: func() int { return int(s.rank.Load()) }, ready: p.ready, log: s.log, terminator: p.terminator, busy: map[string]bool{}}
	s.router = serving(p)
	return s
}
