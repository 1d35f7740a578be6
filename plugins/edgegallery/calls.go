package edgegallery

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxEntry is the largest entry of the gateway's log that is read, in bytes. The headers of
	// the request and of the answer are in it.
	maxEntry = 256 << 10
	// maxNames is of how many services calls are counted.
	maxNames = 10000
	// weekDays is how many days are shown, today first.
	weekDays = 7
	dayMS    = 24 * 60 * 60 * 1000
)

// calls counts what the gateway tells of requests, by day (in UTC, as Elasticsearch counted them
// for the original). Nothing else of them is kept, least of all their tokens. It is in memory: a
// restart begins anew.
type calls struct {
	wall    func() int64 // Unix nanoseconds
	dropped prometheus.Counter

	mu       sync.Mutex
	services map[string]*week // of applications, by serName
	// registered and discovered are the calls of Mp1 itself.
	registered, discovered week
}

func newCalls(wall func() int64) *calls {
	return &calls{wall: wall, services: map[string]*week{}, dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_gateway_calls_dropped_total",
		Help: "Entries of the gateway's log that were not counted, because as many services as may be were."})}
}

// week counts the calls of the last days. The count of a day stands at its number modulo weekDays.
type week struct {
	today  int64
	counts [weekDays]int
}

// upTo makes day the newest; what is older than a week before is forgotten.
func (w *week) upTo(day int64) {
	for w.today = max(w.today, day-weekDays); w.today < day; {
		w.today++
		w.counts[w.today%weekDays] = 0
	}
}

func (w *week) add(day, today int64) {
	w.upTo(today)
	if day > w.today-weekDays && day <= w.today {
		w.counts[day%weekDays]++
	}
}

// times are the counts, today first.
func (w *week) times(today int64) (out [weekDays]int) {
	w.upTo(today)
	for i := range out {
		out[i] = w.counts[(w.today-int64(i)+weekDays)%weekDays]
	}
	return out
}

func (c *calls) today() int64 { return c.wall() / (dayMS * int64(time.Millisecond)) }

// ownService is what the gateway calls this server.
const ownService = "mepserver"

var registrations = regexp.MustCompile(`^/mep/mec_service_mgmt/v1/applications/[-A-Za-z0-9]+/services$`)

// add counts a call. known says whether there is a service of a name: nobody else's calls take
// room. The gateway's names of services end in 20 hexadecimal characters that were chosen.
func (c *calls) add(call mp1.GatewayCall, known func(serName string) bool) {
	today := c.today()
	day := today
	if call.Began != 0 {
		day = min(call.Began/dayMS, today) // a clock that is ahead counts for today
	}
	if call.Service == ownService {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case call.Method == http.MethodGet && strings.HasPrefix(call.Path, "/mep/mec_service_mgmt/v1/services"):
			c.discovered.add(day, today)
		case call.Method == http.MethodPost && registrations.MatchString(call.Path):
			c.registered.add(day, today)
		}
		return
	}
	serName, ok := plugins.GatewayName(call.Service)
	if !ok || !known(serName) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.services[serName]
	if w == nil {
		if len(c.services) >= maxNames {
			maps.DeleteFunc(c.services, func(_ string, w *week) bool { return w.times(today) == [weekDays]int{} })
		}
		if len(c.services) >= maxNames {
			c.dropped.Inc()
			return
		}
		w = &week{}
		c.services[serName] = w
	}
	w.add(day, today)
}

// shownCalls is how often a service was called on each of the last days, today first.
type shownCalls struct {
	Name      string        `json:"name"`
	Desc      string        `json:"desc"`
	CallTimes [weekDays]int `json:"callTimes"`
}

// countCall takes in an entry of the gateway's log.
func (p *platform) countCall(w http.ResponseWriter, r *http.Request) error {
	plugins.NoteRoute(w, "edgegallery.PostCall", false) // there is one for each request by the gateway, each heartbeat too
	body, err := server.ReadBody(w, r, maxEntry)
	if err != nil {
		return err
	}
	call, err := mp1.DecodeGatewayCall(body)
	if err != nil {
		return err
	}
	p.calls.add(call, func(serName string) bool {
		found, err := p.services.Discover(r.Context(), mp1.Filter{SerNames: []string{serName}})
		return err == nil && len(found) > 0
	})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// showCalls shows how often the services that consumers see were called, and Mp1 itself.
func (p *platform) showCalls(w http.ResponseWriter, r *http.Request) error {
	all, err := p.services.Discover(r.Context(), mp1.Filter{})
	if err != nil {
		return err
	}
	apps, mep := p.calls.shown(all)
	server.WriteForGateway(w, http.StatusOK, answer{Data: struct {
		AppServices []shownCalls `json:"appServices"`
		MepServices []shownCalls `json:"mepServices"`
	}{apps, mep}})
	return nil
}

func (c *calls) shown(all []*server.Service) (apps, mep []shownCalls) {
	today := c.today()
	c.mu.Lock()
	defer c.mu.Unlock()
	apps, seen := []shownCalls{}, map[string]bool{}
	for _, s := range all {
		name := s.Info().SerName
		if seen[name] {
			continue
		}
		seen[name] = true
		one := shownCalls{Name: name}
		if w := c.services[name]; w != nil {
			one.CallTimes = w.times(today)
		}
		apps = append(apps, one)
	}
	slices.SortFunc(apps, func(a, b shownCalls) int { return cmp.Compare(a.Name, b.Name) })
	return apps, []shownCalls{{Name: "serviceRegister", CallTimes: c.registered.times(today)}, {Name: "serviceDiscovery", CallTimes: c.discovered.times(today)}}
}
