package agent

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// confirmReadiness tells the platform that the application is up and running (MEC 011 v3.1.1
// §7.2.12) once every service is registered, and tries again until the platform has taken it
// or ctx ends. It does so once: what is registered anew later, or added, changes nothing.
func (a *Agent) confirmReadiness(ctx context.Context) {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for !a.allRegistered() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	for failures := 1; ; failures++ {
		err := a.platform.confirmReady(ctx)
		switch {
		case err == nil:
			a.log.Info("the platform was told that the application is ready")
			return
		case ctx.Err() != nil || failures > 1:
		case notOffered(err):
			a.log.Info("the platform does not ask whether an application is ready, or does not know this one", "answer", outcomeText(err, ""))
		default:
			a.log.Warn("the platform could not be told that the application is ready", "reason", outcomeText(err, ""))
		}
		if !pause(ctx, a.jitter.registerDelay(failures, err)) {
			return
		}
	}
}

// notOffered reports whether the platform has nothing there, as EdgeGallery's and older ones
// have not: it is nothing that has failed.
func notOffered(err error) bool {
	s := statusOf(err)
	return s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusNotImplemented
}

// confirmReadinessBeside does so beside Run if Options.ConfirmReady says so. end waits for what
// is under way when ctx has ended.
func (a *Agent) confirmReadinessBeside(ctx context.Context) (end func()) {
	if !a.options.ConfirmReady {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.confirmReadiness(ctx)
	}()
	return func() { <-ended }
}

// allRegistered reports whether the platform has every service, but for those that were taken
// back.
func (a *Agent) allRegistered() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(a.registrations, func(r *registration) bool { return !a.registered(r) && !r.takenBack })
}

// pause waits, and returns false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}
