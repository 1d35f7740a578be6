package agent

import (
	"time"

	"github.com/go-chassis/openlog"
)

// tagsOf adds the name of the service to the tags of a line.
func (a *Agent) tagsOf(r *registration, more openlog.Tags) openlog.Option {
	t := openlog.Tags{"service": r.name}
	for k, v := range more {
		t[k] = v
	}
	return openlog.WithTags(t)
}

// info and warn log a line about one service.
func (a *Agent) info(r *registration, what string, more openlog.Tags) {
	a.log.Info(what, a.tagsOf(r, more))
}

func (a *Agent) warn(r *registration, what string, more openlog.Tags) {
	a.log.Warn(what, a.tagsOf(r, more))
}

// warnOnce logs the first failure in a row. The others are only counted, for a platform
// that is away would fill the log.
func (a *Agent) warnOnce(r *registration, what string, err error) {
	if r.failures == 1 {
		a.warn(r, what, openlog.Tags{"reason": outcomeText(err, "")})
	}
}

// logRecovery logs the end of failures in a row, how many and how long they were.
func (a *Agent) logRecovery(r *registration, now time.Time, what string) {
	if r.failures > 0 {
		a.info(r, what, openlog.Tags{"failures": r.failures, "after": now.Sub(r.failingSince).Round(time.Millisecond).String()})
	}
}

// noLog is the log of an agent without Options.Log.
type noLog struct{}

// Debug drops the line.
func (noLog) Debug(string, ...openlog.Option) {}

// Info drops the line.
func (noLog) Info(string, ...openlog.Option) {}

// Warn drops the line.
func (noLog) Warn(string, ...openlog.Option) {}

// Error drops the line.
func (noLog) Error(string, ...openlog.Option) {}

// Fatal drops the line, and ends nothing.
func (noLog) Fatal(string, ...openlog.Option) {}
