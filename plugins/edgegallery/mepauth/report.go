package mepauth

import (
	"errors"
	"sync"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/plugins"
)

// report logs when mepauth begins to fail and when it answers again, and once for each application
// for which it refuses: an empty list of services has no other reason that somebody could see.
type report struct {
	log openlog.Logger

	mu      sync.Mutex
	failing bool
}

// result takes in how a question for an application ended. failedBefore says that the one before had no
// answer either.
func (r *report) result(app string, err error, failedBefore bool) {
	refused := errors.Is(err, ErrRefused)
	r.mu.Lock()
	was := r.failing
	r.failing = err != nil && !refused
	is := r.failing
	r.mu.Unlock()
	switch {
	case is && !was:
		r.log.Warn("mepauth cannot be asked which services applications require; until it can, they discover none",
			openlog.WithTags(openlog.Tags{"reason": plugins.Clean(err.Error())}))
	case was && !is:
		r.log.Info("mepauth answers again")
	}
	if refused && (!failedBefore || was) {
		r.log.Warn("mepauth does not say which services an application requires; it discovers none",
			openlog.WithTags(openlog.Tags{"appInstanceId": app, "reason": plugins.Clean(err.Error())}))
	}
}
