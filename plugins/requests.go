package plugins

import (
	"net/http"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// Beats says whether the request has the form of a heartbeat, in either form that is accepted.
func Beats(r *http.Request) bool {
	return (r.Method == http.MethodPatch || r.Method == http.MethodPut) && strings.HasSuffix(r.URL.Path, "/liveness") &&
		strings.HasPrefix(strings.TrimPrefix(r.URL.Path, MepPrefix), mp1.Base+"/applications/")
}

// BeatsMany says whether the request has the form of one that carries heartbeats of many services.
func BeatsMany(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.TrimPrefix(r.URL.Path, MepPrefix) == mp1.HeartbeatsPath
}

// StreamsEvents says whether the request has the form of one for the event stream, whose response
// ends only when somebody ends it.
func StreamsEvents(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.TrimPrefix(r.URL.Path, MepPrefix) == mp1.EventsPath
}

// Lists says whether the request has the form of one for a list, which costs more than others:
// one of service-center's, the metrics, or Mp1's services.
func Lists(r *http.Request) bool {
	return reads(r) && (kindOf(r) != smallKind || strings.HasSuffix(r.URL.Path, "/services"))
}

// RegistryBeats says whether the request has the form of a heartbeat of a ServiceComb client.
func RegistryBeats(r *http.Request) bool {
	if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/v4/") {
		return false
	}
	s := strings.Split(r.URL.Path, "/")
	return len(s) == 5 && s[4] == "heartbeats" || len(s) == 9 && s[6] == "instances" && s[8] == "heartbeat"
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
