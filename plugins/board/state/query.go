package state

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// parameters are the names of what a query may have.
var parameters = []string{"id", "state", "late", "drained", "app", "name", "deliveries", "limit", "after"}

// query is what of all services is asked for.
type query struct {
	ids     map[heartbeat.ID]bool    // nil: any
	states  map[heartbeat.State]bool // nil: any
	late    *bool
	drained *bool
	app     string
	name    string // in lower case, a part of it
	// deliveries says that each service is shown with the subscriptions that its last change concerns.
	deliveries bool

	limit int
	after *cursor
}

// cursor is where a page begins: behind a row of an order, or behind its place in a newer one.
type cursor struct {
	epoch, number uint64 // of the order
	index         int    // of the row behind the last
	behind        place
}

// parseQuery reads a query. Its errors are *mp1.Invalid.
func parseQuery(raw string) (q query, err error) {
	q.limit = defaultPage
	given, err := mp1.ParseParameters(raw, parameters...)
	if err != nil {
		return query{}, err
	}
	for _, name := range parameters { // in this order, so that of several faults always the same is named
		if v, is := given[name]; is && err == nil {
			err = q.set(name, v)
		}
	}
	if err != nil {
		return query{}, err
	}
	return q, nil
}

func (q *query) set(name, value string) (err error) {
	switch name {
	case "id":
		q.ids, err = parseIDs(value)
	case "state":
		q.states, err = parseStates(value)
	case "late":
		q.late, err = parseBool(name, value)
	case "drained":
		q.drained, err = parseBool(name, value)
	case "app":
		q.app, err = value, mp1.CheckID(name, value)
	case "name":
		q.name = strings.ToLower(value)
	case "deliveries":
		var wanted *bool
		if wanted, err = parseBool(name, value); err == nil {
			q.deliveries = *wanted
		}
	case "limit":
		if q.limit, err = strconv.Atoi(value); err != nil || q.limit < 1 || q.limit > maxPage || value[0] == '+' {
			err = &mp1.Invalid{Attribute: name, Rule: "must be a whole number from 1 to " + strconv.Itoa(maxPage)}
		}
	case "after":
		if q.after = parseCursor(value); q.after == nil {
			err = &mp1.Invalid{Attribute: name, Rule: "must be the next of an answer"}
		}
	}
	return err
}

func parseStates(value string) (map[heartbeat.State]bool, error) {
	out := map[heartbeat.State]bool{}
	for word := range strings.SplitSeq(value, ",") {
		found := false
		for _, s := range []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive} {
			if s.String() == word {
				out[s], found = true, true
			}
		}
		if !found {
			return nil, &mp1.Invalid{Attribute: "state", Rule: "must be one or several of ACTIVE, SUSPENDED and INACTIVE, with commas between them"}
		}
	}
	return out, nil
}

// parseIDs reads the ids of services that somebody looks at. There are no more than fit into the
// longest URI that is taken.
func parseIDs(value string) (map[heartbeat.ID]bool, error) {
	out := map[heartbeat.ID]bool{}
	for id := range strings.SplitSeq(value, ",") {
		if err := mp1.CheckID("id", id); err != nil {
			return nil, err
		}
		out[heartbeat.ID(id)] = true
	}
	return out, nil
}

func parseBool(name, value string) (*bool, error) {
	if value != "true" && value != "false" {
		return nil, &mp1.Invalid{Attribute: name, Rule: "must be true or false"}
	}
	is := value == "true"
	return &is, nil
}

// matches says whether a row is asked for.
func (q *query) matches(r *row) bool {
	return (q.ids == nil || q.ids[r.id]) && (q.states == nil || q.states[r.state]) && (q.late == nil || *q.late == r.late) && (q.drained == nil || *q.drained == r.drained) &&
		(q.app == "" || q.app == r.app) && (q.name == "" || strings.Contains(r.name, q.name))
}

// cursorHead is the length of a cursor without the id.
const cursorHead = 8 + 8 + 4 + 1 + 8

var cursorText = base64.RawURLEncoding.Strict()

// String is the cursor as clients return it.
func (c *cursor) String() string {
	b := make([]byte, 0, cursorHead+len(c.behind.id))
	b = binary.BigEndian.AppendUint64(b, c.epoch)
	b = binary.BigEndian.AppendUint64(b, c.number)
	b = binary.BigEndian.AppendUint32(b, uint32(c.index))
	b = append(b, byte(c.behind.class))
	b = binary.BigEndian.AppendUint64(b, uint64(c.behind.key))
	return cursorText.EncodeToString(append(b, c.behind.id...))
}

// parseCursor reads what String returned; nil: it is nothing of that.
func parseCursor(text string) *cursor {
	b, err := cursorText.DecodeString(text)
	if err != nil || len(b) <= cursorHead || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	c := &cursor{epoch: binary.BigEndian.Uint64(b), number: binary.BigEndian.Uint64(b[8:]), index: int(binary.BigEndian.Uint32(b[16:])),
		behind: place{class: class(b[20]), key: int64(binary.BigEndian.Uint64(b[21:])), id: heartbeat.ID(b[cursorHead:])}}
	if c.behind.class >= classes || !mp1.ValidID(string(c.behind.id)) {
		return nil
	}
	return c
}

// page is what of an order a query asks for, and the cursor of the next page. The rest of an order
// of which a page was read before is read from that one, as long as it is kept.
func (r *Room) page(o *order, q query) (ids []heartbeat.ID, next string) {
	begin := 0
	if c := q.after; c != nil {
		begin = -1
		if c.epoch == r.orders.epoch {
			if kept := r.orders.find(c.number); kept != nil && c.index <= len(kept.rows) {
				o, begin = kept, c.index
			}
		}
		if begin < 0 {
			begin = o.after(c.behind)
		}
	}
	for i := begin; i < len(o.rows); i++ {
		if !q.matches(&o.rows[i]) {
			continue
		}
		if len(ids) == q.limit {
			now, _ := r.clock()
			r.orders.keep(o, now)
			return ids, (&cursor{r.orders.epoch, o.number, i, o.rows[i-1].place}).String()
		}
		ids = append(ids, o.rows[i].id)
	}
	return ids, ""
}
