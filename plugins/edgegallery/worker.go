package edgegallery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	workEvery = time.Second
	// maxBusy is of how many applications something is done at a time.
	maxBusy = 32
	// maxForgetting is how many of them wait for mepauth at most. It may not answer, and MECM's
	// tasks must not wait for that.
	maxForgetting = 8
	// failTime is how long a task lasts at least before it fails by what the driver says: a
	// DNS server that restarts must not fail it. MECM polls for a minute.
	failTime = 5 * time.Second
	// giveUpTime is how long a task lasts at most while the driver says nothing.
	giveUpTime = 45 * time.Second
)

// worker carries out what is to be done of deployments: tasks, and what is left of terminations.
// One replica does it.
type worker struct {
	*configuration
	rank       func() int
	ready      func() bool
	log        openlog.Logger
	terminator *terminator

	mu   sync.Mutex
	busy map[string]bool // by application; true: mepauth is to forget it
}

func (w *worker) run(ctx context.Context) {
	t := time.NewTicker(workEvery)
	defer t.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-w.wake:
		}
		if !w.ready() {
			continue
		}
		w.terminator.save(ctx)
		if w.rank() > 1 {
			w.terminator.forgetPauses()
			continue
		}
		for _, e := range w.due() {
			if !w.reserve(e) {
				continue // at a later tick
			}
			all.Go(func() {
				defer w.release(e.App)
				w.work(ctx, e)
			})
		}
	}
}

// reserve says whether something can be done of an application now, and takes a place for it.
func (w *worker) reserve(e *entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, busy := w.busy[e.App]; busy || len(w.busy) >= maxBusy {
		return false
	}
	forgets := e.onlyForgets()
	if forgets && (w.forgetting() >= maxForgetting || !w.terminator.mayTry(e.App)) {
		return false
	}
	w.busy[e.App] = forgets
	return true
}

// forgetting is how many places those have that mepauth is to forget; mu is held.
func (w *worker) forgetting() (n int) {
	for _, forgets := range w.busy {
		if forgets {
			n++
		}
	}
	return n
}

func (w *worker) release(app string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, app)
}

// work does what is to be done of a deployment. What fails is done again at a later tick.
func (w *worker) work(ctx context.Context, e *entry) {
	switch t := runningTask(&e.Deployment); {
	case t != nil:
		w.advance(ctx, e, t)
	case e.Leaving:
		w.terminator.retry(ctx, e.App)
	case e.Forget:
		w.terminator.forgetCredentials(ctx, e.App)
	default: // nobody polls it any more
		_ = owned{w.deployments}.erase(ctx, e.App, idOf(&e.Deployment))
	}
}

// advance defines the rules of a task, which changes nothing if they are so already, and ends it
// when the driver has confirmed them, or has failed.
func (w *worker) advance(ctx context.Context, e *entry, t *plugins.DeploymentTask) {
	defer w.beginTask(e.App)()
	switch admitted, err := w.admitted(ctx, e.App); {
	case err != nil:
		return
	case !admitted:
		w.finish(ctx, e.App, t.ID, plugins.TaskFailure, "the application instance is being removed")
		return
	}
	wanted := mp1.RuleSet{}
	if t.Wanted != nil {
		wanted = *t.Wanted
	}
	r, err := w.definer.Define(ctx, e.App, wanted)
	now, _ := w.clock()
	result, reason := judge(&r, t.Before, err, e.running, now)
	switch {
	case result == plugins.TaskProcessing:
		return
	case result == plugins.TaskFailure && err == nil && t.Before != nil:
		if _, err := w.definer.Define(ctx, e.App, *t.Before); err != nil && !isRefusal(err) {
			return
		}
	}
	w.finish(ctx, e.App, t.ID, result, reason)
}

// judge says what came of a task whose rules were defined. Names that are still to be removed count
// if they are of the rules before: older ones are no matter of this task.
func judge(r *plugins.Rules, before *mp1.RuleSet, err error, running plugins.Age, now plugins.Instant) (plugins.TaskResult, string) {
	switch {
	case isRefusal(err):
		return plugins.TaskFailure, err.Error()
	case err != nil:
		return plugins.TaskProcessing, ""
	}
	reason, waiting := "", before != nil && slices.ContainsFunc(before.DNSRules, func(d mp1.DNSRule) bool {
		return slices.Contains(r.Removed, plugins.RuleName{Name: d.DomainName, Type: d.IPAddressType})
	})
	for i := range r.DNS {
		o := r.DNS[i].Outcome
		if o.Reason != "" && reason == "" {
			reason = r.DNS[i].Rule.DomainName + ": " + o.Reason
		}
		waiting = waiting || o.Driver == "" || o.State != r.DNS[i].Rule.State
	}
	switch {
	case reason == "" && !waiting:
		return plugins.TaskSuccess, ""
	case reason != "" && running.Expired(now, failTime):
		return plugins.TaskFailure, reason
	case running.Expired(now, giveUpTime):
		return plugins.TaskFailure, "the driver for DNS rules has not confirmed them in time"
	}
	return plugins.TaskProcessing, ""
}

// isRefusal says whether rules are refused for what they are, and will be refused again.
func isRefusal(err error) bool {
	_, bad := errors.AsType[*mp1.Invalid](err)
	return bad || errors.Is(err, server.ErrDomainNameTaken) || errors.Is(err, server.ErrTooManyRules) || errors.Is(err, heartbeat.ErrFull)
}

// finish stores the result of a task that goes on.
func (w *worker) finish(ctx context.Context, app, id string, result plugins.TaskResult, reason string) {
	err := w.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		t := runningTask(&now)
		if t == nil || t.ID != id {
			return now, heartbeat.ErrConflict
		}
		done := plugins.DeploymentTask{ID: id, Result: result, Reason: plugins.Clean(reason), Begun: t.Begun}
		if result == plugins.TaskSuccess {
			now.Configured = t.Config
		}
		now.Tasks = append(now.Tasks[:len(now.Tasks)-1:len(now.Tasks)-1], done)
		return now, nil
	})
	if err != nil {
		return
	}
	tags := openlog.Tags{"appInstanceId": app, "task": id}
	if result == plugins.TaskSuccess {
		w.log.Info("application configured", openlog.WithTags(tags))
		return
	}
	tags["reason"] = plugins.Clean(reason)
	w.log.Warn("application not configured", openlog.WithTags(tags))
}
