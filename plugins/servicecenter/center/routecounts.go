package center

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/metrics"
	scprometheus "github.com/apache/servicecomb-service-center/pkg/prometheus"
	"github.com/prometheus/client_golang/prometheus"
)

// routeCounts is what service-center's request metrics say of one of our routes. Its own
// handler hands every request to another goroutine to be counted, which costs a heartbeat
// a fifth of all that it costs the handlers; here a request is counted where it is
// answered, by series that are looked up once.
type routeCounts struct {
	route  string
	mu     sync.RWMutex
	series map[answered]requestSeries
}

// answered is what the series of a route differ by. Both are of small fixed sets.
type answered struct {
	method string
	status int
}

type requestSeries struct {
	took            prometheus.Observer
	all, successful prometheus.Counter // successful is nil for other answers
}

func newRouteCounts(route string) *routeCounts {
	return &routeCounts{route: route, series: map[answered]requestSeries{}}
}

// count counts a request that was answered with status; 0 is what net/http makes a 200.
func (c *routeCounts) count(r *http.Request, status int, took time.Duration) {
	if status == 0 {
		status = http.StatusOK
	}
	by := answered{r.Method, status}
	if !labelledMethods[by.method] {
		by.method = otherLabel
	}
	c.mu.RLock()
	s, ok := c.series[by]
	c.mu.RUnlock()
	if !ok {
		s = c.enter(by)
	}
	s.took.Observe(float64(took) / float64(time.Microsecond))
	s.all.Inc()
	if s.successful != nil {
		s.successful.Inc()
	}
}

func (c *routeCounts) enter(by answered) requestSeries {
	code, instance := strconv.Itoa(by.status), metrics.InstanceName()
	s := requestSeries{
		took: scprometheus.Vectors["http_request_durations_microseconds"].(*prometheus.SummaryVec).
			WithLabelValues(by.method, instance, c.route, defaultTenant),
		all: scprometheus.Vectors["http_request_total"].(*prometheus.CounterVec).
			WithLabelValues(by.method, code, instance, c.route, defaultTenant),
	}
	if by.status >= http.StatusOK && by.status <= http.StatusAccepted { // as service-center counts them
		s.successful = scprometheus.Vectors["http_success_total"].(*prometheus.CounterVec).
			WithLabelValues(by.method, code, instance, c.route, defaultTenant)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.series[by] = s
	return s
}
