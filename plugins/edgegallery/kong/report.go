package kong

import (
	"errors"
	"sync"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// report counts, and logs when publishing begins to fail, when it goes on, and each entry that
// Kong refuses.
type report struct {
	plugins.Collectors
	log      openlog.Logger
	requests *prometheus.CounterVec

	mu      sync.Mutex
	fails   bool
	refused map[string]bool // names
}

func newReport(x *services, log openlog.Logger) *report {
	r := &report{log: log, refused: map[string]bool{}, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mep_gateway_requests_total", Help: "Requests to the Admin API of EdgeGallery's gateway, by whether they were answered.",
	}, []string{"outcome"})}
	for _, outcome := range []string{"answered", "failed"} {
		r.requests.WithLabelValues(outcome)
	}
	r.Add(r.requests)
	gauge := func(name, help string, f func() float64) {
		r.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	count := func(of func(*service) int) func() float64 {
		return func() float64 {
			n := 0
			all := x.list()
			for i := range all {
				n += of(&all[i])
			}
			return float64(n)
		}
	}
	gauge("mep_gateway_entries", "Endpoints of services that are published at EdgeGallery's gateway, or are to be.", count(func(s *service) int { return len(s.endpoints) }))
	gauge("mep_gateway_entries_removing", "Entries of EdgeGallery's gateway that are to be removed and that it has not confirmed to be gone.", count(func(s *service) int { return len(s.entries.Removed) }))
	gauge("mep_gateway_services_waiting", "Services whose entries of EdgeGallery's gateway are to be looked at.", func() float64 { return float64(x.dueCount()) })
	gauge("mep_gateway_entries_refused", "Entries that EdgeGallery's gateway refused last.", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.refused))
	})
	gauge("mep_gateway_failing", "Whether publishing at EdgeGallery's gateway fails: 1 or 0.", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fails {
			return 1
		}
		return 0
	})
	return r
}

// request counts a request to Kong.
func (r *report) request(err error) {
	if err != nil {
		r.requests.WithLabelValues("failed").Inc()
		return
	}
	r.requests.WithLabelValues("answered").Inc()
}

// publishingFails takes in a failure that concerns all services.
func (r *report) publishingFails(err error) {
	r.mu.Lock()
	was := r.fails
	r.fails = true
	r.mu.Unlock()
	if was {
		return
	}
	what := "services cannot be published at the gateway; it is tried again, and consumers do not reach those that are new until then"
	if errors.As(err, new(storeError)) {
		what = "what is published at the gateway cannot be stored; it is tried again, and nothing new is published until then"
	}
	r.log.Warn(what, openlog.WithTags(openlog.Tags{"reason": plugins.Clean(err.Error())}))
}

// working says that nothing failed.
func (r *report) working() {
	r.mu.Lock()
	was := r.fails
	r.fails = false
	r.mu.Unlock()
	if was {
		r.log.Info("services are published at the gateway again")
	}
}

// entry takes in how the publishing or removal of one name ended; err is a refusal.
func (r *report) entry(id heartbeat.ID, name string, err error) {
	r.mu.Lock()
	was := r.refused[name]
	delete(r.refused, name)
	if err != nil {
		r.refused[name] = true
	}
	r.mu.Unlock()
	if err != nil && !was {
		r.log.Warn("the gateway refuses an entry; it is tried again from time to time",
			openlog.WithTags(openlog.Tags{"serInstanceId": string(id), "reason": plugins.Clean(err.Error())}))
	}
}

// reset forgets all failures: another replica publishes now.
func (r *report) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = false
	clear(r.refused)
}
