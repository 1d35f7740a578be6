package server

import (
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Timing is what the handlers need of whoever reads the clock of the platform.
type Timing interface {
	// CurrentTime is the time now, and whether it is locked to UTC.
	CurrentTime() mp1.CurrentTime
	// TimingCaps says where applications can get the time from. Its lists are not nil.
	TimingCaps() mp1.TimingCaps
}

// timingResources is the route table of the time of the platform.
func (s *api) timingResources() []resource {
	if s.options.Timing == nil {
		return nil
	}
	return []resource{
		{"/timing/current_time", []method{{name: "mp1.GetCurrentTime", verb: http.MethodGet, access: Identified, handle: s.getCurrentTime}}},
		{"/timing/timing_caps", []method{{name: "mp1.GetTimingCaps", verb: http.MethodGet, access: Identified, handle: s.getTimingCaps}}},
	}
}

// getCurrentTime tells the time of the platform (§7.2.6.3.1).
func (s *api) getCurrentTime(w http.ResponseWriter, _ *http.Request, _ target) error {
	s.writeJSON(w, http.StatusOK, encodeJSON(s.options.Timing.CurrentTime()))
	return nil
}

// getTimingCaps tells where applications can get the time from (§7.2.5.3.1).
func (s *api) getTimingCaps(w http.ResponseWriter, _ *http.Request, _ target) error {
	s.writeJSON(w, http.StatusOK, encodeJSON(s.options.Timing.TimingCaps()))
	return nil
}
