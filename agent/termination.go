package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// OnTermination is what the agent does about the termination of its application.
type OnTermination string

const (
	// IgnoreTermination does nothing: the platform removes the services when its graceful
	// timeout is over. It is the default.
	IgnoreTermination OnTermination = "ignore"
	// ConfirmTermination subscribes to the termination of the application, by a WebSocket: the
	// platform needs no way to the agent. When the termination is announced, Run removes the services
	// as at its end, whatever OnStop says, confirms the termination, and returns ErrTerminated.
	// A platform that offers no such subscription is asked again every few minutes.
	ConfirmTermination OnTermination = "confirm"
)

// ErrTerminated is what Run returns when the platform has announced the termination of the
// application and answered its confirmation, by a refusal too: it goes on without one. Who runs the agent again then registers the services of an
// application that was to go.
var ErrTerminated = errors.New("agent: the platform terminates the application")

// stableConnection is for how long a WebSocket stands that was no failure.
const stableConnection = 10 * time.Second

// terminationWatch is told of the termination of the application.
//
// It takes a subscription that is there, for an agent before this one may have been killed after
// the platform has announced the termination: it is announced again then, and a crash leaves
// no subscription behind. If another agent of the application receives by that
// subscription, the platform closes that one's connection, and that one makes another. It must
// not take one, too: agents would go on taking each other's.
type terminationWatch struct {
	*Agent
	announced func(mp1.OperationAction)
	own       terminationSubscription
	displaced bool // another agent has taken its subscription
	failures  int  // in a row
	connected time.Time
}

// terminationSubscription is where one subscription is, and its WebSocket. Both are paths.
type terminationSubscription struct{ href, socket string }

// run watches until ctx ends or the termination was announced.
func (w *terminationWatch) run(ctx context.Context) {
	to := client.NewNotifications(nil, client.OfApplication(w.options.App), client.OnTermination(func(_ context.Context, n mp1.TerminationNotification) error {
		w.announced(n.OperationAction)
		return client.ErrEndSubscription // nothing else can come: it ends with the application
	}))
	for {
		err := w.receive(ctx, to)
		if ctx.Err() != nil || errors.Is(err, client.ErrEndSubscription) {
			return
		}
		if !w.connected.IsZero() && time.Since(w.connected) >= stableConnection {
			w.failures = 0
		}
		w.connected = time.Time{}
		w.failures++
		w.lose(err)
		wait := w.jitter.registerDelay(w.failures, err)
		if errors.Is(err, errNoWebSocket) { // only another release of the platform has one
			wait = w.jitter.backoff(w.failures, minRequestBackoff, maxLongWait)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// lose takes it that the agent is not told any more, or not yet.
func (w *terminationWatch) lose(err error) {
	reason := outcomeText(err, "")
	switch {
	case errors.Is(err, client.ErrReplaced):
		w.log.Info("another agent of the application has taken the subscription to its termination; this one makes another")
		w.displaced, w.own = true, terminationSubscription{}
		return
	case errors.Is(err, client.ErrNotFound) && w.own.socket != "":
		w.own = terminationSubscription{} // it is gone: another one is made
	}
	switch {
	case w.failures > 1: // said already
	case notOffered(err):
		w.log.Info("the platform does not tell of the termination of an application, or does not know this one", "answer", reason)
	default:
		w.log.Warn("the agent is not told of a termination of the application now", "reason", reason)
	}
}

// receive waits for the announcement with one connection.
func (w *terminationWatch) receive(ctx context.Context, to *client.Notifications) error {
	if w.own.socket == "" {
		own, err := w.platform.terminationSubscription(ctx, !w.displaced)
		if err != nil {
			return err
		}
		w.own, w.displaced = own, false
	}
	return w.platform.receive(ctx, client.Stream{URI: w.own.socket, To: to, OnConnect: func() {
		w.connected = time.Now()
		w.log.Info("the agent is told of a termination of the application")
	}})
}

// unsubscribe removes the subscription, which would be left behind otherwise.
func (w *terminationWatch) unsubscribe(ctx context.Context) {
	if w.own.href == "" {
		return
	}
	err := w.platform.unsubscribe(ctx, w.own.href)
	if err != nil && statusOf(err) != http.StatusNotFound {
		w.log.Warn("the subscription to terminations of the application could not be removed", "reason", outcomeText(err, ""))
	}
}

// watchTermination begins to watch if Options.OnTermination says so. The context that it
// returns ends with ctx, and when the termination is announced. end waits until nothing of it
// is under way, and returns the watch, nil if there is none.
func (a *Agent) watchTermination(ctx context.Context) (running context.Context, end func() *terminationWatch) {
	if a.options.OnTermination != ConfirmTermination {
		return ctx, func() *terminationWatch { return nil }
	}
	running, stop := context.WithCancel(ctx)
	w := &terminationWatch{Agent: a, announced: func(action mp1.OperationAction) {
		a.log.Info("the platform terminates the application: its services are removed", "action", string(action))
		a.locked(func() { a.termination = action })
		stop()
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(running)
	}()
	return running, func() *terminationWatch {
		stop()
		<-ended
		return w
	}
}

// leaves reports whether the services stay at the platform when the agent ends.
func (a *Agent) leaves() bool { return a.options.OnStop == Leave && a.announced() == "" }

// announced is the termination that the platform has announced; "" is none.
func (a *Agent) announced() (action mp1.OperationAction) {
	a.locked(func() { action = a.termination })
	return action
}

// endWatching ends what the watch has begun, when the services are gone: failed says which are
// not. A termination is confirmed; else the subscription is removed, which would be left behind.
func (a *Agent) endWatching(ctx, last context.Context, w *terminationWatch, failed error) error {
	switch action := a.announced(); {
	case action != "":
		err := a.confirmTermination(ctx, action)
		if errors.Is(err, ErrTerminated) {
			return err // and the platform removes what is left
		}
		return errors.Join(failed, err)
	case w != nil && !a.leaves():
		w.unsubscribe(last)
	}
	return failed
}

// confirmTermination tells the platform that the services are gone, and tries again until it
// answers: it may be starting anew just then. When ctx ends, it tries once more. Its error is
// ErrTerminated if the platform has answered.
func (a *Agent) confirmTermination(ctx context.Context, action mp1.OperationAction) error {
	for failures := 1; ; failures++ {
		attempt, ending := ctx, ctx.Err() != nil
		if ending {
			short, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
			defer cancel()
			attempt = short
		}
		err := a.platform.confirmTermination(attempt, action)
		switch {
		case err == nil:
			a.log.Info("the termination of the application is confirmed")
		case statusOf(err) == http.StatusNotFound, statusOf(err) == http.StatusConflict: // it is over: another agent has confirmed it
			a.log.Info("the termination of the application needs no confirmation any more", "answer", outcomeText(err, ""))
		case permanent(err):
			a.log.Error("the confirmation of the termination is refused; the application ends when its time is over", "answer", outcomeText(err, ""))
		case ending:
			return fmt.Errorf("agent: the termination could not be confirmed: %s", outcomeText(err, ""))
		default:
			if failures == 1 {
				a.log.Warn("the termination of the application cannot be confirmed yet", "reason", outcomeText(err, ""))
			}
			pause(ctx, a.jitter.registerDelay(failures, err))
			continue
		}
		a.forgetRemoved()
		return ErrTerminated
	}
}

// forgetRemoved takes it that the platform has removed what could not be deregistered: it
// removes all that is left of an application.
func (a *Agent) forgetRemoved() {
	a.locked(func() {
		for _, r := range a.registrations {
			if r.id != "" {
				r.step(removed)
				r.id = ""
				a.recordSaved(r)
				a.report(r)
			}
		}
	})
}
