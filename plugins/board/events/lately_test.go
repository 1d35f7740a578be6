package events

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// lately asks for what happened lately.
func (w *world) lately(query string) (status int, out mp1.ServiceChanges, brief []string) {
	w.t.Helper()
	r := httptest.NewRecorder()
	w.serveLately(r, httptest.NewRequest(http.MethodGet, mp1.ChangesPath+"?"+query, nil))
	if r.Code == http.StatusOK {
		require.NoError(w.t, json.Unmarshal(r.Body.Bytes(), &out))
	}
	for _, c := range out.Changes {
		brief = append(brief, fmt.Sprintf("%d %s %s %s>%s", c.Revision, c.SerInstanceID, c.Change, c.From, c.To))
	}
	return r.Code, out, brief
}

// at is an event that was made at a time.
func at(e *plugins.Event, made time.Time) *plugins.Event {
	e.Made = made.UnixNano()
	return e
}

func TestWhatHappenedLatelyIsToldAndTheStreamGoesOnBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer close(w.stop)
		status, _, _ := w.lately("")
		require.Equal(t, http.StatusServiceUnavailable, status, "nothing is loaded")
		begun := time.Now()
		w.feed.Load(&plugins.History{At: 10, Floor: 4, Events: []*plugins.Event{at(added(6, "a", "x"), begun.Add(-50*time.Second))}, Services: []*plugins.Event{added(6, "a", "x")}})
		time.Sleep(90 * time.Minute)
		w.see(at(suspended(11, "a", "x"), time.Now().Add(-61*time.Minute)), at(removed(12, "a", "x"), time.Now()))
		_, all, brief := w.lately("")
		require.Equal(t, []string{"12 a REMOVED SUSPENDED>"}, brief, "of the last hour")
		require.Equal(t, int64(12), all.Revision)
		require.Equal(t, stamp(time.Now().Add(-time.Hour)), all.From)
		_, all, brief = w.lately("since=" + url.QueryEscape(stamp(begun.Add(-time.Hour))))
		require.Equal(t, []string{"6 a ADDED >ACTIVE", "11 a STATE_CHANGED ACTIVE>SUSPENDED", "12 a REMOVED SUSPENDED>"}, brief)
		require.Equal(t, stamp(begun.Add(-50*time.Second)), all.From, "nobody here knows what was before")
		_, all, brief = w.lately("limit=2&since=" + url.QueryEscape(stamp(begun.Add(-time.Hour))))
		require.Equal(t, []string{"11 a STATE_CHANGED ACTIVE>SUSPENDED", "12 a REMOVED SUSPENDED>"}, brief, "the newest")
		require.Equal(t, 1, all.Left)

		r := w.open("", fmt.Sprint(all.Revision))
		synctest.Wait()
		require.Empty(t, r.read(t), "neither a reset nor anything twice")
		w.see(at(added(13, "b", "y"), time.Now()))
		synctest.Wait()
		require.Len(t, r.read(t), 1)
	})
}

func TestWhatOneReplicaStampsLaterThanAnotherIsNotOverlooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer close(w.stop)
		w.feed.Load(&plugins.History{})
		now := time.Now()
		w.see(at(added(1, "old", "x"), now.Add(-3*time.Hour)), at(added(2, "a", "x"), now), at(added(3, "slow", "x"), now.Add(-time.Hour-time.Second)))
		_, _, brief := w.lately("")
		require.Equal(t, []string{"2 a ADDED >ACTIVE"}, brief)
	})
}

func TestWhatIsAskedOfThePastIsReadStrictly(t *testing.T) {
	w := newWorld(t)
	defer close(w.stop)
	w.feed.Load(&plugins.History{})
	for _, bad := range []string{"limit=0", "limit=2001", "limit=+1", "limit=x", "limit=", "limit=1&limit=1", "since=", "since=1", "since=9999-01-01T00:00:00Z", "since=2026-01-01", "ser_name=x", "secret"} {
		status, _, _ := w.lately(bad)
		require.Equal(t, http.StatusBadRequest, status, bad)
	}
}

// However long names are, an answer has its bound, and says what it leaves out.
func TestAnAnswerAboutThePastIsBounded(t *testing.T) {
	w := newWorld(t)
	defer close(w.stop)
	w.feed.Load(&plugins.History{})
	name := strings.Repeat("n", 4000)
	for n := range mostLately {
		w.see(at(added(heartbeat.Revision(n+1), fmt.Sprint("i", n), name), time.Now()))
	}
	_, all, _ := w.lately("")
	require.Equal(t, mostLately, all.Left+len(all.Changes))
	require.Positive(t, all.Left)
	require.Greater(t, len(all.Changes), mostLatelyBytes/4500)
	require.EqualValues(t, mostLately, all.Changes[len(all.Changes)-1].Revision, "the newest are there")
}

// Of changes for which there is no room any more it is known since when they are missing.
func TestItIsSaidSinceWhenChangesAreKept(t *testing.T) {
	r := ring{most: 3 * entrySize}
	r.clear(0, 100)
	require.EqualValues(t, 100, r.whole())
	for n := range 5 {
		r.add(&entry{at: heartbeat.Revision(n + 1), made: int64(50 + n)})
		if n == 0 {
			require.EqualValues(t, 50, r.whole())
		}
	}
	require.EqualValues(t, 52, r.whole())
	r.clear(9, 200)
	require.EqualValues(t, 200, r.whole())
}

// A reader writes what he was given while the ring drops the same changes.
func TestWhatAReaderWasGivenIsHisOwn(t *testing.T) {
	r := ring{most: 3 * entrySize, entries: make([]*entry, 0, 4)} // with room in it: nothing is moved
	for n := range 3 {
		r.add(&entry{at: heartbeat.Revision(n + 1)})
	}
	some, ok := r.from(0, 10)
	require.True(t, ok)
	r.add(&entry{at: 4})
	require.NotNil(t, some[0], "it is forgotten while it is written")
	require.EqualValues(t, 1, some[0].at)
}

func TestAChangeHasTheCategoryAndTheLocalityOfItsService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer close(w.stop)
		w.feed.Load(&plugins.History{})
		e := at(added(1, "a", "x"), time.Now())
		e.Attributes = `{"serName":"x","version":"1","serializer":"JSON","serCategory":{"href":"/h","id":"c1","name":"video","version":"1"},"scopeOfLocality":"ZONE"}`
		gone := at(removed(2, "a", "x"), time.Now())
		gone.Attributes = e.Attributes
		w.see(e, gone, at(added(3, "b", "y"), time.Now()))
		_, all, _ := w.lately("")
		require.Len(t, all.Changes, 3)
		for n, want := range [][2]string{{"video", "ZONE"}, {"video", "ZONE"}, {"", "MEC_HOST"}} {
			require.Equal(t, want, [2]string{all.Changes[n].Category, string(all.Changes[n].Locality)}, n)
		}
	})
}
