package events

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// serve answers GET and HEAD of the stream.
func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	if !accepts(r.Header["Accept"]) {
		server.Refuse(w, http.StatusNotAcceptable, "This is a stream of events; Accept: text/event-stream.", 0)
		return
	}
	query := r.URL.RawQuery
	if s.edgeGallery {
		query = mp1.CompleteQuery(query)
	}
	filter, err := mp1.ParseQuery(query)
	if err != nil {
		server.RefuseError(w, err, 1)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mp1.EventStreamType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	st := newStream(s, w, r, filter)
	defer st.end()
	st.run(lastEventID(r))
}

// accepts says whether who sent a request takes an event stream. Many clients say nothing, or
// that they take everything.
func accepts(values []string) bool {
	some := false
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			kind, parameters, err := mime.ParseMediaType(one)
			if strings.TrimSpace(one) == "" {
				continue
			}
			some = true
			if err != nil {
				continue
			}
			if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil && q == 0 {
				continue
			}
			if kind == mp1.EventStreamType || kind == "text/*" || kind == "*/*" {
				return true
			}
		}
	}
	return !some
}

// lastEventID is the id behind which a stream is to go on. given says that there is one, also one
// that is none of ours.
func lastEventID(r *http.Request) (at heartbeat.Revision, given bool) {
	values := r.Header["Last-Event-Id"]
	if len(values) == 0 || values[0] == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 || len(values) > 1 || strconv.FormatInt(n, 10) != values[0] {
		return -1, true
	}
	return heartbeat.Revision(n), true
}
