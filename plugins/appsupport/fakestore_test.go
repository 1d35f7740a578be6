package appsupport

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeStore is a store in memory, for what only a chosen order of events shows; the real
// one is under test in test/e2e and test/external.
type fakeStore struct {
	mu          sync.Mutex
	at          heartbeat.Revision
	apps        map[string]plugins.Application
	fail        error
	gate        chan struct{}         // reads wait until it is closed; nil: they do not
	read        atomic.Int64          // reads so far
	save, erase error                 // of writes; nil: they are done
	lost        int                   // so many saves are overtaken by somebody else
	begun       []plugins.Application // by BeginTermination, in order
}

func (s *fakeStore) SaveApplication(_ context.Context, a plugins.Application) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	if s.save != nil {
		return 0, s.save
	}
	if s.lost--; s.lost >= 0 || s.apps[a.Info.AppInstanceID].At != a.At {
		return 0, heartbeat.ErrConflict
	}
	s.at++
	a.At = s.at
	s.apps[a.Info.AppInstanceID] = a
	return s.at, nil
}

func (s *fakeStore) BeginTermination(ctx context.Context, a plugins.Application) (heartbeat.Revision, error) {
	at, err := s.SaveApplication(ctx, a)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.begun = append(s.begun, s.apps[a.Info.AppInstanceID])
	}
	return at, err
}

func (s *fakeStore) EraseApplication(_ context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.erase != nil {
		return 0, s.erase
	}
	if s.apps[app].At != at {
		return 0, heartbeat.ErrConflict
	}
	s.at++
	delete(s.apps, app)
	return s.at, nil
}

func (s *fakeStore) Application(_ context.Context, app string) (plugins.Application, error) {
	s.read.Add(1)
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apps[app], s.fail
}

func (s *fakeStore) FollowApplications(context.Context, func([]plugins.Application, heartbeat.Revision), func(plugins.Application, bool), func(string, error)) {
}

func (s *fakeStore) get(app string) plugins.Application {
	a, _ := s.Application(context.Background(), app)
	return a
}

func (s *fakeStore) put(a plugins.Application) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[a.Info.AppInstanceID] = a
}
