package events

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	// mostLately is the most changes of one answer, and mostLatelyBytes what they take in it.
	mostLately      = 2000
	mostLatelyBytes = 4 << 20
	// usually is how far an answer goes back unless somebody asks for another time.
	usually = time.Hour
	// slack is how far the clocks of replicas may be apart: changes are in the order of commits,
	// and each has the time of the replica that made it.
	slack = time.Minute
)

// lately is the answer: mp1.ServiceChanges, with the changes as the stream has encoded them.
type lately struct {
	Now      string            `json:"now"`
	Revision int64             `json:"revision"`
	From     string            `json:"from"`
	Left     int               `json:"left"`
	Changes  []json.RawMessage `json:"changes"`
}

// serveLately answers with what happened lately, as far as this replica keeps it.
func (s *service) serveLately(w http.ResponseWriter, r *http.Request) {
	if !s.feed.ready() {
		server.RefuseError(w, heartbeat.ErrNotReady, 1)
		return
	}
	now := s.feed.now()
	since, most, err := parseLately(r.URL.RawQuery, now)
	if err != nil {
		server.RefuseError(w, err, 1)
		return
	}
	some, left, at, whole := s.feed.lately(since.UnixNano(), most)
	out := lately{Now: stamp(now), Revision: int64(at), Left: left, Changes: make([]json.RawMessage, 0, len(some))}
	size := 0
	for i, e := range slices.Backward(some) {
		data := e.data()
		if size += len(data); size > mostLatelyBytes {
			out.Left += i + 1
			break
		}
		out.Changes = append(out.Changes, data)
	}
	slices.Reverse(out.Changes)
	out.From = stamp(time.Unix(0, max(whole, since.UnixNano())))
	server.WriteJSON(w, http.StatusOK, &out)
}

// parseLately reads a query. Its errors are *mp1.Invalid.
func parseLately(raw string, now time.Time) (since time.Time, most int, err error) {
	since, most = now.Add(-usually), mostLately
	given, err := mp1.ParseParameters(raw, "limit", "since")
	if err != nil {
		return since, 0, err
	}
	if v, is := given["limit"]; is {
		if most, err = strconv.Atoi(v); err != nil || most < 1 || most > mostLately || v[0] == '+' {
			return since, 0, &mp1.Invalid{Attribute: "limit", Rule: "must be a whole number from 1 to " + strconv.Itoa(mostLately)}
		}
	}
	if v, is := given["since"]; is {
		if since, err = time.Parse(time.RFC3339Nano, v); err != nil || since.Year() < 1970 || since.Year() > 2200 {
			return since, 0, &mp1.Invalid{Attribute: "since", Rule: "must be a time such as 2026-11-27T12:00:00Z"}
		}
	}
	return since, most, nil
}

// lately are the newest changes since a time, at most so many, the oldest first, and how many older
// ones there were since. at is where a stream goes on behind them, and whole the time since when
// none is missing here.
func (f *feed) lately(since int64, most int) (some []*entry, left int, at heartbeat.Revision, whole int64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, e := range slices.Backward(f.ring.entries) {
		if e.made < since-int64(slack) {
			break
		}
		switch {
		case e.made < since:
		case len(some) == most:
			left++
		default:
			some = append(some, e)
		}
	}
	slices.Reverse(some)
	return some, left, f.ring.newest(), f.ring.whole()
}

// data is the change as JSON: what of its event stands behind "data: ".
func (e *entry) data() []byte {
	_, data, _ := bytes.Cut(e.frame(changed), []byte("\ndata: "))
	return bytes.TrimSuffix(data, []byte("\n\n"))
}
