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
	// mostSaved is how many of them are stored at one tick: other work waits for that.
	mostSaved = 256
	leastWait = time.Second
	mostWait  = 5 * time.Minute
)

// terminator terminates applications for MECM, and has their credentials removed at mepauth.
type terminator struct {
	*deployments
	services      server.Registry
	registrations server.Registrations
	// terminations are the subscriptions of applications to their own; nil: there are none.
	terminations server.Subscriptions
	// credentials removes those of an application; that there are none is no error. nil: there
	// is no mepauth.
	credentials func(ctx context.Context, app string) error
	log         openlog.Logger

	mu           sync.Mutex
	unsaved      map[string]bool
	waits        map[string]wait // of credentials
	dropped      prometheus.Counter
	mepauthFails bool // as the log has said
}

type wait struct {
	until plugins.Instant
	next  time.Duration
}

// terminate answers 200 in any case: to MECM anything else means that the application cannot be
// deleted. What cannot be done at once is done later, and remembered until then.
func (t *terminator) terminate(w http.ResponseWriter, r *http.Request) error {
	app := r.PathValue("appInstanceId")
	// Whoever asked may go away; the time is bounded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerTime)
	defer cancel()
	failed := t.begin(ctx, app)
	if failed != nil || t.credentials != nil {
		err := t.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
			now.Leaving, now.Forget = now.Leaving || failed != nil, t.credentials != nil
			return now, nil
		})
		if err != nil {
			t.remember(app, errors.Join(failed, err))
		}
	}
	server.WriteForGateway(w, http.StatusOK, "")
	return nil
}

// begin tells the application that it will be removed, and removes its services. The rest of
// what it has goes when it confirms that, or when its time is over; and at once if nobody can be
// told, for MECM uses the names of an application again as soon as it was answered.
func (t *terminator) begin(ctx context.Context, app string) error {
	told, err := t.isTold(ctx, app)
	if err != nil {
		return err
	}
	err = t.registrations.BeginTermination(ctx, app, graceful, nil)
	if err != nil && !errors.Is(err, server.ErrTerminating) && !errors.Is(err, server.ErrNoRegistration) {
		return err
	}
	all, err := t.services.OfApplication(ctx, app, mp1.Filter{})
	if err != nil {
		return err
	}
	for _, s := range all {
		err = errors.Join(err, t.services.Remove(ctx, server.Caller{App: app}, s.ID, nil))
	}
	if err != nil || told {
		return err
	}
	if err = t.registrations.DeregisterApplication(ctx, app, nil); errors.Is(err, server.ErrNoRegistration) {
		return nil
	}
	return err
}

// isTold says whether an application has subscribed to its termination.
func (t *terminator) isTold(ctx context.Context, app string) (bool, error) {
	if t.terminations == nil {
		return false, nil
	}
	all, err := t.terminations.SubscriptionsOf(ctx, app)
	return len(all) > 0, err
}

// newDropped counts the terminations that were not remembered.
func newDropped() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_platform_terminations_dropped_total",
		Help: "Terminations that failed and were not remembered, because too many were."})
}

// remember keeps a termination that the store did not take, until save succeeds.
func (t *terminator) remember(app string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tags := openlog.Tags{"appInstanceId": app, "reason": plugins.Clean(err.Error())}
	if len(t.unsaved) >= maxUnsaved && !t.unsaved[app] {
		t.dropped.Inc()
		t.log.Warn("a termination is not remembered, for too many are already; delete the application again", openlog.WithTags(tags))
		return
	}
	t.unsaved[app] = true
	t.log.Warn("a termination is tried again later", openlog.WithTags(tags))
}

// save stores some of what is remembered. A store that is away or full refuses the others, too,
// so that the first refusal of that kind ends it until the next tick.
func (t *terminator) save(ctx context.Context) {
	for _, app := range t.someUnsaved(mostSaved) {
		err := t.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
			now.Leaving, now.Forget = true, t.credentials != nil
			return now, nil
		})
		switch {
		case errors.Is(err, heartbeat.ErrNoAdditions): // which is of this application alone
		case errors.Is(err, heartbeat.ErrUnavailable), errors.Is(err, heartbeat.ErrNotReady), errors.Is(err, heartbeat.ErrFull):
			return
		case err == nil:
			t.mu.Lock()
			delete(t.unsaved, app)
			t.mu.Unlock()
		}
	}
}

// someUnsaved are up to n of those that are remembered, others each time: what is refused of one must
// not hold up the rest.
func (t *terminator) someUnsaved(n int) (out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for app := range t.unsaved { // in no order
		if len(out) == n {
			break
		}
		out = append(out, app)
	}
	return out
}

// retry does what terminate could not do at once.
func (t *terminator) retry(ctx context.Context, app string) {
	if t.begin(ctx, app) != nil {
		return
	}
	_ = t.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		now.Leaving = false
		return now, nil
	})
}

// forgetCredentials has mepauth remove the credentials of an application, with growing pauses.
func (t *terminator) forgetCredentials(ctx context.Context, app string) {
	if t.credentials != nil { // else it was configured away since
		err := t.credentials(ctx, app)
		if errors.Is(err, mepauth.ErrRefused) {
			t.log.Info("mepauth has no credentials of a terminated application, or refuses to remove them", openlog.WithTags(openlog.Tags{"appInstanceId": app, "reason": plugins.Clean(err.Error())}))
			err = nil // the same again is of no use
		}
		if t.noteAttempt(app, err); err != nil {
			return
		}
	}
	_ = t.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		now.Forget = false
		return now, nil
	})
}

// forgetPauses does that while another replica does this, which may have finished.
func (t *terminator) forgetPauses() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.waits)
}

func (t *terminator) mayTry(app string) bool {
	now, _ := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	return now >= t.waits[app].until
}

// noteAttempt notes how a call of mepauth ended. The log says once that mepauth fails.
func (t *terminator) noteAttempt(app string, err error) {
	now, _ := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		next := min(max(2*t.waits[app].next, leastWait), mostWait)
		t.waits[app] = wait{now + next, next}
		if !t.mepauthFails {
			t.log.Warn("mepauth does not remove the credentials of terminated applications; it is asked again until it does", openlog.WithTags(openlog.Tags{"reason": plugins.Clean(err.Error())}))
		}
	default:
		delete(t.waits, app)
		if t.mepauthFails {
			t.log.Info("mepauth removes credentials again")
		}
	}
	t.mepauthFails = err != nil
}
