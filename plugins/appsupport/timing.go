package appsupport

import (
	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// timing tells applications the time of this host, and of the sources of time that the settings
// name. It asks nobody: a request of an application must not become one to another machine.
type timing struct {
	clock func() (plugins.Instant, int64)
	// synchronised says whether the kernel counts the clock as locked to UTC. An error says why
	// the kernel cannot be asked.
	synchronised func() (bool, error)
	sources      conf.Timing
}

var _ server.Timing = (*timing)(nil)

// newTiming says in the log, once, if the kernel cannot be asked.
func newTiming(sources conf.Timing, log openlog.Logger) *timing {
	t := &timing{clock: plugins.NewClock(), synchronised: synchronised, sources: sources}
	if _, err := t.synchronised(); err != nil {
		log.Warn("applications are told NONTRACEABLE: it is not known whether the clock of this host is synchronised",
			openlog.WithTags(openlog.Tags{"reason": err.Error()}))
	}
	return t
}

// CurrentTime implements server.Timing.
func (t *timing) CurrentTime() mp1.CurrentTime {
	status := mp1.NonTraceable
	if locked, err := t.synchronised(); err == nil && locked {
		status = mp1.Traceable
	}
	_, wall := t.clock()
	return mp1.CurrentTime{TimeStamp: mp1.TimeStampOf(wall), TimeSourceStatus: status}
}

// TimingCaps implements server.Timing.
func (t *timing) TimingCaps() mp1.TimingCaps {
	_, wall := t.clock()
	return mp1.TimingCaps{TimeStamp: mp1.TimeStampOf(wall),
		NTPServers: append([]mp1.NTPServer{}, t.sources.NTPServers...), PTPMasters: append([]mp1.PTPMaster{}, t.sources.PTPMasters...)}
}
