package center

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// series is how many series the process shows, without those of etcd and of Go. None of
// them may have a label that was made up.
func series(t *testing.T) (n int) {
	t.Helper()
	all, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	for _, f := range all {
		if !strings.HasPrefix(f.GetName(), "service_center_") && !strings.HasPrefix(f.GetName(), "mep_") {
			continue
		}
		n += len(f.GetMetric())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				require.NotContains(t, strings.ToLower(l.GetValue()), "madeup", "%s of %s", l.GetName(), f.GetName())
			}
		}
	}
	return n
}

// One request with a made-up method or X-Domain-Name left series behind that were never
// freed: 3,000 of them held 100 MB. Each of these forms is sent with 60 different values,
// of which none may be seen; the first few may make the series of their route.
func TestNothingThatIsSentGrowsTheSetOfMetricLabels(t *testing.T) {
	center.Handle("/mec_labels", "test.Labels", server.Open, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) }))
	forms := map[string]func(i int) *http.Request{
		"method of ours": func(i int) *http.Request { return web.Request(t, fmt.Sprint("MADEUP", i), "/mec_labels", "") },
		"method of theirs": func(i int) *http.Request {
			return web.Request(t, fmt.Sprint("MADEUP", i), "/v4/default/registry/microservices", "")
		},
		"method in other case": func(i int) *http.Request {
			return web.Request(t, strings.Repeat("g", i+1)+"ET", "/mec_labels", "")
		},
		"domain": func(i int) *http.Request {
			return web.Request(t, "GET", "/v4/default/registry/microservices", "", "X-Domain-Name", fmt.Sprint("madeup-d", i))
		},
		"domain and project": func(i int) *http.Request {
			return web.Request(t, "GET", fmt.Sprintf("/v4/madeup-p%d/registry/microservices", i), "", "X-Domain-Name", fmt.Sprint("madeup-e", i))
		},
		"consumer and agent": func(i int) *http.Request {
			return web.Request(t, "GET", "/v4/default/registry/microservices", "", "X-ConsumerId", fmt.Sprint("madeup-c", i), "User-Agent", fmt.Sprint("madeup-u", i), "X-Forwarded-For", fmt.Sprintf("8.8.8.%d", i))
		},
		"path": func(i int) *http.Request {
			return web.Request(t, "GET", fmt.Sprintf("/v4/default/registry/microservices/madeup-s%d", i), "")
		},
		"status in a header": func(i int) *http.Request {
			return web.Request(t, "GET", "/mec_labels", "", "X-Response-Status", fmt.Sprint(200+i))
		},
		"framework": func(i int) *http.Request {
			return web.Request(t, "POST", "/v4/default/registry/microservices", fmt.Sprintf(
				`{"service":{"serviceId":"labels%d","serviceName":"labels","version":"1.0.%d","framework":{"name":"madeup-%d","version":"%d.0"}}}`, i, i, i, i))
		},
		"framework of an instance": func(i int) *http.Request {
			return web.Request(t, "POST", fmt.Sprintf("/v4/default/registry/microservices/labels%d/instances", i), fmt.Sprintf(
				`{"instance":{"instanceId":"li%d","hostName":"h","endpoints":["rest://10.0.0.1:80"],"status":"UP"}}`, i))
		},
		"domain of what is stored": func(i int) *http.Request {
			return web.Request(t, "POST", "/v4/default/registry/microservices", fmt.Sprintf(
				`{"service":{"serviceName":"labels","version":"1.0.%d"}}`, i), "X-Domain-Name", fmt.Sprint("madeup-f", i))
		},
	}
	for _, name := range []string{"method of ours", "method of theirs", "method in other case", "domain", "domain and project", "consumer and agent", "path",
		"status in a header", "framework", "framework of an instance", "domain of what is stored"} {
		before := 0
		for i := range 60 {
			res, err := http.DefaultClient.Do(forms[name](i))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			if i == 9 {
				before = settled(t)
			}
		}
		// service-center's reporter enters the routes of the first few anew every 30 s
		require.Less(t, settled(t), before+25, name)
	}
}

// settled is the number of series once it stands still: requests are counted after they
// were answered.
func settled(t *testing.T) int {
	t.Helper()
	last := -1
	require.Eventually(t, func() bool {
		now := series(t)
		same := now == last
		last = now
		return same
	}, 20*time.Second, 100*time.Millisecond)
	return last
}

// What the hidden gauges of service-center were looked at for is still shown.
func TestWhatServiceCombHoldsIsCounted(t *testing.T) {
	_, b := web.Get(t, "/metrics")
	require.Contains(t, b, `mep_servicecomb_entries{kind="microservice"}`)
	require.Contains(t, b, `mep_servicecomb_entries{kind="instance"}`)
	require.NotContains(t, b, "service_center_db_service_total")
	require.NotEmpty(t, hideStoredLabels(), "service-center's gauges have these names")
	require.Len(t, hideStoredLabels(), len(storedLabels))
}

// returned is a response that must not be used after its handler has returned: over HTTP/2 that
// panics, or reads the response of another request.
type returned struct {
	*httptest.ResponseRecorder
	over, misused atomic.Bool
}

// Header implements http.ResponseWriter.
func (w *returned) Header() http.Header {
	if w.over.Load() {
		w.misused.Store(true)
	}
	return w.ResponseRecorder.Header()
}

func TestNoResponseIsReadAfterItsHandlerHasReturned(t *testing.T) {
	var all []*returned
	for range 50 {
		w := &returned{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "/v4/default/registry/microservices", nil)
		center.Handler().ServeHTTP(w, r)
		w.over.Store(true)
		require.Equal(t, http.StatusOK, w.Code)
		all = append(all, w)
	}
	require.Never(t, func() bool { return slices.ContainsFunc(all, func(w *returned) bool { return w.misused.Load() }) }, 300*time.Millisecond, 20*time.Millisecond)
}
