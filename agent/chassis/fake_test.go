package chassis

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chassis/go-chassis/v2/core/registry"

	"github.com/mec-liveness/mepserver/mp1"
)

// fakePlatform is a platform in memory. It is a RoundTripper and opens no connection, so that
// it works in a synctest bubble. The real server is tested in test/e2e.
type fakePlatform struct {
	mu       sync.Mutex
	away     bool // it does not answer
	latency  time.Duration
	refusal  *mp1.ProblemDetails // its answer to POSTs, if it is not nil
	services map[string]mp1.ServiceInfo
	next     int
	requests []string
	bodies   []string
}

func (f *fakePlatform) RoundTrip(r *http.Request) (*http.Response, error) {
	<-time.After(f.latency)
	f.mu.Lock()
	defer f.mu.Unlock()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	f.bodies = append(f.bodies, string(body))
	if f.away {
		return nil, io.ErrUnexpectedEOF
	}
	status, answer := f.serve(r, body)
	text, err := json.Marshal(answer)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(text)))}, err
}

func (f *fakePlatform) serve(r *http.Request, body []byte) (int, any) {
	path := strings.TrimPrefix(r.URL.Path, mp1.Base)
	app, rest, own := strings.Cut(strings.TrimPrefix(path, "/applications/"), "/services")
	id := strings.TrimSuffix(strings.TrimPrefix(rest, "/"), "/liveness")
	switch {
	case path == "/services":
		name, list := r.URL.Query().Get("ser_name"), []mp1.ServiceInfo{}
		for _, s := range f.services {
			if s.SerName == name {
				list = append(list, s)
			}
		}
		return 200, list
	case own && r.Method == http.MethodPost && f.refusal != nil:
		return f.refusal.Status, f.refusal
	case own && r.Method == http.MethodPost:
		f.next++
		return 201, f.put(app, fmt.Sprint("id-", f.next), body)
	case own && id == "":
		list := []mp1.ServiceInfo{}
		for _, s := range f.services {
			list = append(list, s)
		}
		return 200, list
	}
	if _, ok := f.services[id]; !ok {
		return 404, mp1.ProblemDetails{Status: 404}
	}
	switch r.Method {
	case http.MethodPut:
		return 200, f.put(app, id, body)
	case http.MethodDelete:
		delete(f.services, id)
		return 204, nil
	case http.MethodPatch:
		return 204, nil
	}
	return 200, mp1.ServiceLivenessInfo{State: f.services[id].State, Interval: *f.services[id].LivenessInterval}
}

func (f *fakePlatform) put(app, id string, body []byte) mp1.ServiceInfo {
	info, err := mp1.DecodeServiceInfo(body)
	if err != nil {
		panic(err)
	}
	if *info.LivenessInterval == 0 {
		*info.LivenessInterval = 30
	}
	info.SerInstanceID = id
	href := mp1.Base + "/applications/" + app + "/services/" + id
	info.Links = &mp1.ServiceLinks{Self: mp1.SelfLink{Href: href}, Liveness: &mp1.LinkType{Href: href + "/liveness"}}
	f.services[id] = info
	return info
}

// with runs f under the platform's lock.
func (f *fakePlatform) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// count is how many requests began so.
func (f *fakePlatform) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func newFake() *fakePlatform { return &fakePlatform{services: map[string]mp1.ServiceInfo{}} }

// address is where go-chassis says that the platform is.
var address = registry.Options{Addrs: []string{"mep:30100"}}

// settingsOf are these settings.
func settingsOf(m map[string]string) source {
	return source{get: func(key string) string { return m[key] }, keys: func() []string { return slices.Collect(maps.Keys(m)) }}
}
