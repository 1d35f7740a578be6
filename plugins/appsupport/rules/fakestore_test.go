package rules

import (
	"context"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeStore is a store in memory. Its watch shows each write before the write returns, unless
// it is cut.
type fakeStore struct {
	mu      sync.Mutex
	at      heartbeat.Revision
	docs    map[string]plugins.Rules
	names   heartbeat.Revision
	readers []plugins.RulesReader
	fail    error // of reads and writes
	full    error // of writes
	writes  int
	before  func() // called once, at the beginning of a write: somebody else is faster
}

func newFakeStore() *fakeStore { return &fakeStore{docs: map[string]plugins.Rules{}} }

func (s *fakeStore) SaveRules(ctx context.Context, r plugins.Rules) (heartbeat.Revision, error) {
	return s.save(ctx, r, nil)
}

func (s *fakeStore) SaveRulesWithNames(ctx context.Context, r plugins.Rules, names heartbeat.Revision) (heartbeat.Revision, error) {
	return s.save(ctx, r, &names)
}

func (s *fakeStore) save(_ context.Context, r plugins.Rules, names *heartbeat.Revision) (heartbeat.Revision, error) {
	if f := s.takeBefore(); f != nil {
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return 0, s.fail
	case s.full != nil:
		return 0, s.full
	case s.docs[r.App].At != r.At, names != nil && *names != s.names:
		return 0, heartbeat.ErrConflict
	}
	s.at++
	s.writes++
	r.At = s.at
	s.docs[r.App] = r
	for _, reader := range s.readers {
		reader.SeeRules(r, false)
	}
	if names != nil {
		s.names = s.at
		for _, reader := range s.readers {
			reader.SeeRuleNames(s.at)
		}
	}
	return s.at, nil
}

func (s *fakeStore) takeBefore() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.before
	s.before = nil
	return f
}

func (s *fakeStore) RuleNames(context.Context) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names, s.fail
}

func (s *fakeStore) EraseRules(_ context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	if s.docs[app].At != at {
		return 0, heartbeat.ErrConflict
	}
	s.at++
	delete(s.docs, app)
	for _, reader := range s.readers {
		reader.SeeRules(plugins.Rules{App: app, At: s.at}, true)
	}
	return s.at, nil
}

func (s *fakeStore) Rules(_ context.Context, app string) (plugins.Rules, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.docs[app]
	r.App = app
	return r, s.fail
}

func (s *fakeStore) FollowRules(ctx context.Context, r plugins.RulesReader, _ func(string, error)) {
	s.follow(r)
	<-ctx.Done()
}

// follow shows a reader everything, and then every write.
func (s *fakeStore) follow(r plugins.RulesReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []plugins.Rules
	for _, one := range s.docs {
		all = append(all, one)
	}
	r.LoadRules(all, s.names, s.at)
	s.readers = append(s.readers, r)
}

func (s *fakeStore) get(app string) plugins.Rules {
	r, _ := s.Rules(context.Background(), app)
	return r
}

// written is how often rules were saved.
func (s *fakeStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// size is of how many applications there is something.
func (s *fakeStore) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.docs)
}

func (s *fakeStore) set(f func(*fakeStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}
