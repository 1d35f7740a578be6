package edgegallery

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/edgegallery/mepauth"
)

const (
	// graceful is how long an application has that subscribed to its termination, in seconds.
	graceful = 5
	// answerTime is how long a termination is tried before it is answered all the same.
	answerTime = 2 * time.Second
	// maxUnsaved is of how many terminations this process remembers that the store did not take
	// them.
	maxUnsaved = 10000
	leastWait  = time.Second
	mostWait   = 5 * time.Minute
)

// leaving terminates applications for MECM, and has their credentials removed at mepauth.
type leaving struct {
	*deployments
	services      server.Registry
	registrations server.Registrations
	// terminations are the subscriptions of applications to their own; nil: there are none.
	terminations server.Subscriptions
	// credentials removes those of an application; that there are none is no error. nil: there
	// is no mepauth.
	credentials func(ctx context.Context, app string) error
	log         openlog.Logger

	mu      sync.Mutex
	unsaved map[string]bool
	waits   map[string]wait // of credentials
	dropped prometheus.Counter
	failing bool // mepauth, as the log has said
}

type wait struct {
	until plugins.Instant
	next  time.Duration
}

// terminate answers 200 in any case: to MECM anything else means that the application cannot be
// deleted. What cannot be done at once is done later, and remembered until then.
func (l *leaving) terminate(w http.ResponseWriter, r *http.Request) error {
	app := r.PathValue("appInstanceId")
	// Whoever asked may go away; the time is bounded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerTime)
	defer cancel()
	failed := l.begin(ctx, app)
	if failed != nil || l.credentials != nil {
		err := l.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
			now.Leaving, now.Forget = now.Leaving || failed != nil, l.credentials != nil
			return now, nil
		})
		if err != nil {
			l.remember(app, errors.Join(failed, err))
		}
	}
	server.WriteForGateway(w, http.StatusOK, "")
	return nil
}

// begin tells the application that it will be removed, and removes its services. The rest of
// what it has goes when it confirms that, or when its time is over; and at once if nobody can be
// told, for MECM uses the names of an application again as soon as it was answered.
func (l *leaving) begin(ctx context.Context, app string) error {
	told, err := l.isTold(ctx, app)
	if err != nil {
		return err
	}
	err = l.registrations.BeginTermination(ctx, app, graceful, nil)
	if err != nil && !errors.Is(err, server.ErrTerminating) && !errors.Is(err, server.ErrNoRegistration) {
		return err
	}
	all, err := l.services.OfApplication(ctx, app, mp1.Filter{})
	if err != nil {
		return err
	}
	for _, s := range all {
		err = errors.Join(err, l.services.Remove(ctx, server.Caller{App: app}, s.Info.SerInstanceID, nil))
	}
	if err != nil || told {
		return err
	}
	if err = l.registrations.DeregisterApplication(ctx, app, nil); errors.Is(err, server.ErrNoRegistration) {
		return nil
	}
	return err
}

// isTold says whether an application has subscribed to its termination.
func (l *leaving) isTold(ctx context.Context, app string) (bool, error) {
	if l.terminations == nil {
		return false, nil
	}
	all, err := l.terminations.SubscriptionsOf(ctx, app)
	return len(all) > 0, err
}

// newDropped counts the terminations that were not remembered.
func newDropped() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_platform_terminations_dropped_total",
		Help: "Terminations that failed and were not remembered, because too many were."})
}

// remember keeps a termination that the store did not take, until save succeeds.
func (l *leaving) remember(app string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tags := openlog.Tags{"appInstanceId": app, "reason": plugins.Clean(err.Error())}
	if len(l.unsaved) >= maxUnsaved && !l.unsaved[app] {
		l.dropped.Inc()
		l.log.Warn("a termination is not remembered, for too many are already; delete the application again", openlog.WithTags(tags))
		return
	}
	l.unsaved[app] = true
	l.log.Warn("a termination is tried again later", openlog.WithTags(tags))
}

// save stores what is remembered.
func (l *leaving) save(ctx context.Context) {
	l.mu.Lock()
	var all []string
	for app := range l.unsaved {
		all = append(all, app)
	}
	l.mu.Unlock()
	for _, app := range all {
		err := l.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
			now.Leaving, now.Forget = true, l.credentials != nil
			return now, nil
		})
		switch {
		case errors.Is(err, heartbeat.ErrUnavailable), errors.Is(err, heartbeat.ErrNotReady):
			return // the store does not answer others either
		case err != nil:
			continue // which is of this application alone
		}
		l.mu.Lock()
		delete(l.unsaved, app)
		l.mu.Unlock()
	}
}

// again does what terminate could not do at once.
func (l *leaving) again(ctx context.Context, app string) {
	if l.begin(ctx, app) != nil {
		return
	}
	_ = l.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		now.Leaving = false
		return now, nil
	})
}

// forget has mepauth remove the credentials of an application, with growing pauses.
func (l *leaving) forget(ctx context.Context, app string) {
	if l.credentials != nil { // else it was configured away since
		err := l.credentials(ctx, app)
		if errors.Is(err, mepauth.ErrRefused) {
			l.log.Info("mepauth has no credentials of a terminated application, or refuses to remove them", openlog.WithTags(openlog.Tags{"appInstanceId": app, "reason": plugins.Clean(err.Error())}))
			err = nil // the same again is of no use
		}
		if l.tried(app, err); err != nil {
			return
		}
	}
	_ = l.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		now.Forget = false
		return now, nil
	})
}

// rest forgets the pauses while another replica does this, which may have finished.
func (l *leaving) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.waits)
}

func (l *leaving) mayTry(app string) bool {
	now, _ := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return now >= l.waits[app].until
}

// tried notes how a call of mepauth ended. The log says once that mepauth fails.
func (l *leaving) tried(app string, err error) {
	now, _ := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		next := min(max(2*l.waits[app].next, leastWait), mostWait)
		l.waits[app] = wait{now + next, next}
		if !l.failing {
			l.log.Warn("mepauth does not remove the credentials of terminated applications; it is asked again until it does", openlog.WithTags(openlog.Tags{"reason": plugins.Clean(err.Error())}))
		}
	default:
		delete(l.waits, app)
		if l.failing {
			l.log.Info("mepauth removes credentials again")
		}
	}
	l.failing = err != nil
}
