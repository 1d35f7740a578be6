package center

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
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
	route string
	took  *durations
	last  atomic.Pointer[requestSeries] // most requests are answered as the one before

	mu     sync.Mutex
	series map[answered]*requestSeries
}

// answered is what the series of a route differ by. Both are of small fixed sets.
type answered struct {
	method string
	status int
}

type requestSeries struct {
	by              answered
	took            *duration
	all, successful prometheus.Counter // successful is nil for other answers
}

func newRouteCounts(route string, took *durations) *routeCounts {
	return &routeCounts{route: route, took: took, series: map[answered]*requestSeries{}}
}

// count counts a request that was answered with status; 0 is what net/http makes a 200.
func (c *routeCounts) count(method string, status int, began, ended time.Time) {
	if status == 0 {
		status = http.StatusOK
	}
	s := c.last.Load()
	if s == nil || s.by.status != status || s.by.method != method {
		s = c.of(method, status)
		c.last.Store(s)
	}
	s.took.observe(ended.Sub(began), ended)
	s.all.Inc()
	if s.successful != nil {
		s.successful.Inc()
	}
}

func (c *routeCounts) of(method string, status int) *requestSeries {
	if !labelledMethods[method] {
		method = otherLabel
	}
	by := answered{method, status}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.series[by]
	if s == nil {
		s = c.enter(by)
		c.series[by] = s
	}
	return s
}

// enter makes the series of an answer; c.mu is held.
func (c *routeCounts) enter(by answered) *requestSeries {
	code, instance := strconv.Itoa(by.status), metrics.InstanceName()
	s := &requestSeries{by: by, took: c.took.of(by.method, c.route), all: scprometheus.Vectors["http_request_total"].(*prometheus.CounterVec).
		WithLabelValues(by.method, code, instance, c.route, defaultTenant)}
	if by.status >= http.StatusOK && by.status <= http.StatusAccepted { // as service-center counts them
		s.successful = scprometheus.Vectors["http_success_total"].(*prometheus.CounterVec).
			WithLabelValues(by.method, code, instance, c.route, defaultTenant)
	}
	return s
}
