package state

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// site is a platform of made-up services.
type site struct {
	all     map[heartbeat.ID]heartbeat.Vitals
	expiry  heartbeat.Expiry
	surveys int
	looks   int
	now     plugins.Instant
	asked   int // for the health of the store
}

func (s *site) Survey(see func(*heartbeat.Vitals)) heartbeat.Survey {
	s.surveys++
	for _, v := range s.all {
		see(&v)
	}
	return heartbeat.Survey{Revision: 7, Answering: true, Replicas: []string{"c", "b"}, Beats: 59.96, Expected: 60, Expiry: s.expiry}
}

func (s *site) Look(context.Context) { s.looks++ }

func (s *site) LookAt(_ context.Context, id heartbeat.ID) {
	if v, is := s.all[id]; is && id == "elsewhere" {
		v.Watched, v.Estimated, v.Late, v.Missed, v.Deadline = true, true, true, 1, 4000
		s.all[id] = v
	}
}

func (s *site) Vitals(id heartbeat.ID) (heartbeat.Vitals, bool) {
	v, is := s.all[id]
	return v, is
}

func (s *site) Trace(heartbeat.ID) heartbeat.Trace {
	return heartbeat.Trace{Gaps: []time.Duration{1500 * time.Millisecond}, Transitions: []heartbeat.Transition{
		{At: 5e9, From: heartbeat.Active, To: heartbeat.Suspended, Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "b"}, Interval: 2, Window: 6}}}
}

func (s *site) Service(_ context.Context, id string) (*server.Service, error) {
	v, is := s.all[heartbeat.ID(id)]
	if !is {
		return nil, heartbeat.ErrNotFound
	}
	info := mp1.ServiceInfo{SerInstanceID: id, SerName: v.Record.Attributes, Version: "1", State: mp1.State(v.Record.State.String()), TransportInfo: &mp1.TransportInfo{
		Endpoint: mp1.EndPointInfo{Addresses: []mp1.Address{{Host: "::1", Port: 80}}}}}
	return server.NewService(v.Record.Owner, info, v.Record.Interval), nil
}

func (s *site) Name() string                   { return "a" }
func (s *site) StoreUsage() plugins.StoreUsage { return plugins.StoreUsage{Used: 1, Quota: 2} }
func (s *site) StoreHealth(ctx context.Context) plugins.StoreHealth {
	s.asked++
	return plugins.StoreHealth{Members: []plugins.StoreMember{{ID: "1", Version: "3.6.0", Alarms: []string{"NOSPACE"}, Error: fmt.Sprint(ctx.Err())}}}
}

func (s *site) clock() (plugins.Instant, int64) { return s.now, int64(s.now) }
func (s *site) ServiceCombID(id heartbeat.ID, _ string) (string, string) {
	return "service", string(id)
}

func (s *site) put(id heartbeat.ID, state heartbeat.State, change func(*heartbeat.Vitals)) {
	v := heartbeat.Vitals{Record: heartbeat.Record{ID: id, Owner: "app", Attributes: "Name-" + string(id), State: state, Interval: 2, Window: 6}}
	if change != nil {
		change(&v)
	}
	s.all[id] = v
}

func newSite() (*site, *Room) {
	s := &site{all: map[heartbeat.ID]heartbeat.Vitals{}, now: 1}
	return s, &Room{host: &plugins.Host{Version: "v1", Ready: func() bool { return true }}, engine: s, services: s, base: s, clock: s.clock, orders: orders{epoch: 9}}
}

// ask asks for a page.
func ask(t *testing.T, r *Room, raw string) (ids []string, a answer) {
	t.Helper()
	w := httptest.NewRecorder()
	r.handler(r.all).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, Path+"?"+raw, nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	for _, s := range a.Services {
		ids = append(ids, s.SerInstanceID)
	}
	return ids, a
}

// deadline is of a service that this replica watches.
func deadline(at int64, late bool) func(*heartbeat.Vitals) {
	return func(v *heartbeat.Vitals) { v.Watched, v.Deadline, v.Late, v.Missed = true, at, late, 1 }
}

func since(at int64) func(*heartbeat.Vitals) { return func(v *heartbeat.Vitals) { v.Since = at } }

func mixed() (*site, *Room) {
	s, r := newSite()
	s.put("plain", heartbeat.Active, func(v *heartbeat.Vitals) { v.Record.Interval, v.Record.Window = 0, 0 })
	s.put("off", heartbeat.Inactive, func(v *heartbeat.Vitals) { v.Record.Cause.Kind = heartbeat.CauseKind(mp1.CauseDrained) })
	s.put("elsewhere", heartbeat.Active, nil)
	s.put("next", heartbeat.Active, deadline(100, false))
	s.put("later", heartbeat.Active, deadline(200, false))
	s.put("late", heartbeat.Active, deadline(300, true))
	s.put("old", heartbeat.Suspended, since(1))
	s.put("new", heartbeat.Suspended, since(2))
	return s, r
}

func TestWhoeverNeedsToBeLookedAtComesFirst(t *testing.T) {
	_, r := mixed()
	ids, a := ask(t, r, "")
	require.Equal(t, []string{"new", "old", "late", "next", "later", "elsewhere", "off", "plain"}, ids)
	require.Equal(t, counts{Active: 5, Suspended: 2, Inactive: 1, Late: 1, Drained: 1, WithoutLiveness: 1, Total: 8}, a.Counts)
	require.Equal(t, []replica{{"a", true}, {"b", false}, {"c", false}}, a.Platform.Replicas)
	require.Equal(t, load{60, 60}, a.Platform.Load)
	require.Equal(t, store{Kind: "embedded", Ready: true, UsedBytes: 1, QuotaBytes: 2}, a.Platform.Store)
	require.False(t, a.Platform.Expiry.Held)
	require.EqualValues(t, 7, a.Revision)
	require.Equal(t, []string{"[::1]:80"}, a.Services[0].Endpoints)
	require.Nil(t, a.Services[5].Missed, "nothing is said of what is not known")
	require.Empty(t, a.Services[5].Deadline)
	require.Equal(t, 1, *a.Services[3].Missed)
	require.Equal(t, []float64{1.5}, a.Services[3].GapsSeconds)
	require.Empty(t, a.Services[7].Links.Liveness)
}

func TestAQuerySelects(t *testing.T) {
	s, r := mixed()
	s.put("other", heartbeat.Active, func(v *heartbeat.Vitals) { v.Record.Owner = "them" })
	for raw, want := range map[string][]string{
		"state=SUSPENDED":                   {"new", "old"},
		"state=SUSPENDED,INACTIVE":          {"new", "old", "off"},
		"late=true":                         {"late"},
		"late=false&state=ACTIVE&app=app":   {"next", "later", "elsewhere", "plain"},
		"drained=true":                      {"off"},
		"drained=false&state=INACTIVE":      nil,
		"app=them":                          {"other"},
		"app=nobody":                        nil,
		"name=nAME-lat":                     {"late", "later"},
		"name=%25":                          nil,
		"limit=2":                           {"new", "old"},
		"state=ACTIVE&limit=1000&name=NEXT": {"next"},
	} {
		ids, a := ask(t, r, raw)
		require.Equal(t, want, ids, raw)
		require.Equal(t, 9, a.Counts.Total, "counts are of all")
	}
}

func TestAQueryIsReadStrictly(t *testing.T) {
	for raw, want := range map[string]string{
		"state=": "state", "state=DEAD": "state", "state=ACTIVE,": "state", "state=active": "state", "state=(none)": "state", "late=yes": "late", "drained=1": "drained", "deliveries=yes": "deliveries", "app=a/b": "app",
		"limit=0": "limit", "limit=1001": "limit", "limit=+5": "limit", "limit=x": "limit", "after=x": "after", "after=": "after", "name=": "name", "limit=1&limit=2": "limit",
		"stat=ACTIVE": "stat", "appInstanceId=a": "appInstanceId", "secret": "query", "late=%zz": "late",
	} {
		_, err := parseQuery(raw)
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad, raw)
		require.Equal(t, want, bad.Attribute, raw)
	}
	_, err := parseQuery("stat=ACTIVE")
	require.ErrorContains(t, err, "perhaps it is state")
}

// However services move while somebody reads page after page, he gets each once that is there all
// the time.
func TestPagesShowEachServiceOnceHoweverTheyMove(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, r := newSite()
	anyState := func(id heartbeat.ID) {
		state := heartbeat.States[1+random.IntN(3)]
		s.put(id, state, func(v *heartbeat.Vitals) {
			v.Since, v.Late = random.Int64N(50), state == heartbeat.Active && random.IntN(4) == 0
			v.Watched, v.Deadline = random.IntN(2) == 0, random.Int64N(50)
		})
	}
	for n := range 300 {
		anyState(heartbeat.ID(fmt.Sprint("i", n)))
	}
	seen := map[string]int{}
	for raw, pages := "limit=7", 0; ; pages++ {
		ids, a := ask(t, r, raw)
		for _, id := range ids {
			seen[id]++
		}
		if a.Next == "" {
			break
		}
		raw = "limit=7&after=" + a.Next
		s.now += time.Second
		for range 100 {
			anyState(heartbeat.ID(fmt.Sprint("i", random.IntN(300))))
		}
		anyState(heartbeat.ID(fmt.Sprint("new", pages)))
		require.Less(t, pages, 50)
	}
	for n := range 300 {
		require.Equal(t, 1, seen[fmt.Sprint("i", n)], n)
	}
}

// The next page is found where the order of the first is not kept any more, or never was.
func TestACursorLeadsOnWithoutItsOrder(t *testing.T) {
	s, r := mixed()
	first, a := ask(t, r, "limit=3")
	s.now += 2 * keptFor
	_, elsewhere := newSite()
	elsewhere.engine, elsewhere.services, elsewhere.clock, elsewhere.orders.epoch = s, s, s.clock, 10
	r.orders.kept = nil
	for _, at := range []*Room{r, elsewhere} {
		rest, b := ask(t, at, "after="+a.Next)
		require.Equal(t, []string{"new", "old", "late", "next", "later", "elsewhere", "off", "plain"}, slices.Concat(first, rest))
		require.Empty(t, b.Next)
	}
	delete(s.all, "next")
	s.put("late", heartbeat.Active, deadline(5000, false)) // the row before the page has moved
	s.now += 2 * freshFor
	rest, _ := ask(t, elsewhere, "after="+a.Next)
	require.Equal(t, []string{"later", "late", "elsewhere", "off", "plain"}, rest)
}

func TestOneOrderServesAllWhoAskWithinAMoment(t *testing.T) {
	s, r := mixed()
	for range 100 {
		ask(t, r, "")
	}
	require.Equal(t, [2]int{1, 1}, [2]int{s.surveys, s.looks})
	s.now += freshFor
	ask(t, r, "")
	require.Equal(t, 2, s.surveys)
}

func TestWhatIsKeptForReadersIsBounded(t *testing.T) {
	_, r := newSite()
	many := make([]row, maxRows/3)
	for n := range 100 {
		r.orders.keep(&order{number: uint64(n), rows: many[:min(n*1000, len(many))]}, 0)
		rows := 0
		for _, o := range r.orders.kept {
			rows += len(o.rows)
		}
		require.LessOrEqual(t, rows, maxRows)
		require.LessOrEqual(t, len(r.orders.kept), maxKept)
		require.NotNil(t, r.orders.find(uint64(n)), "the newest is kept")
	}
	r.orders.keep(&order{number: 200}, keptFor)
	require.Len(t, r.orders.kept, 1)
}

func TestOneServiceIsShownWithHowItCameToItsState(t *testing.T) {
	_, r := mixed()
	d, err := r.Detail(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, []Transition{{"1970-01-01T00:00:05Z", "ACTIVE", "SUSPENDED", "no heartbeat for 6 s (interval 2 s, window 6 s), decided by b"}}, d.Transitions)
	require.False(t, d.Estimated)
	d, err = r.Detail(t.Context(), "elsewhere")
	require.NoError(t, err)
	require.True(t, d.Estimated && d.Late && *d.Missed == 1)
	require.NotEmpty(t, d.Deadline)
	for _, id := range []string{"nobody", "a/b", "", strings.Repeat("x", 1000)} {
		_, err = r.Detail(t.Context(), id)
		require.ErrorIs(t, err, heartbeat.ErrNotFound)
	}
}

func TestWhatIsHeldBackIsSaidInWords(t *testing.T) {
	s, r := mixed()
	seen := map[string]bool{}
	for by := heartbeat.StoreFull; by <= heartbeat.RateLimited; by++ {
		s.expiry = heartbeat.Expiry{By: by, Doubt: "pause", Services: 3, Since: 1, Until: 2e9}
		s.now += freshFor
		_, a := ask(t, r, "")
		require.True(t, a.Platform.Expiry.Held)
		require.NotEmpty(t, a.Platform.Expiry.Reason)
		require.False(t, seen[a.Platform.Expiry.Reason])
		require.Equal(t, "1970-01-01T00:00:02Z", a.Platform.Expiry.Until)
		seen[a.Platform.Expiry.Reason] = true
	}
}

func TestNothingIsAnsweredBeforeTheListsAreLoaded(t *testing.T) {
	_, r := mixed()
	r.host.Ready = func() bool { return false }
	w := httptest.NewRecorder()
	r.handler(r.all).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, Path, nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

// FuzzQuery: no query brings the parser down, what it takes is within its bounds, and a cursor is
// the only text of itself.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"", "state=ACTIVE,SUSPENDED&late=true", "limit=7&name=x", "after=" + (&cursor{1, 2, 3, place{late, -4, "id"}}).String(), "after=AAAA", "%zz", "a=b;c"} {
		f.Add(raw)
	}
	_, r := mixed()
	o := r.orders.current(1, r.survey)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			var bad *mp1.Invalid
			require.ErrorAs(t, err, &bad)
			return
		}
		require.True(t, q.limit >= 1 && q.limit <= maxPage)
		if q.after != nil {
			require.Equal(t, q.after, parseCursor(q.after.String()))
		}
		ids, _ := r.page(o, q)
		require.LessOrEqual(t, len(ids), min(q.limit, len(o.rows)))
	})
}

func BenchmarkTheFirstPageOfTenThousand(b *testing.B) {
	s, r := newSite()
	for n := range 10_000 {
		s.put(heartbeat.ID(fmt.Sprint("i", n)), heartbeat.Active, deadline(int64(n), false))
	}
	h := r.handler(r.all)
	for _, again := range []bool{true, false} {
		b.Run(map[bool]string{true: "of an order that is made", false: "of a new order"}[again], func(b *testing.B) {
			for b.Loop() {
				if !again {
					s.now += freshFor
				}
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, Path, nil))
			}
		})
	}
}
