package events

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// in runs a test in a bubble, with a store that has these services and their changes behind a floor.
func in(t *testing.T, h *plugins.History, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed.Load(h)
		f(t, w)
		close(w.stop)
	})
}

func TestAStreamBeginsWithAllAndGoesOnWithEachChange(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(4, "a", "x"), suspended(8, "b", "y")}, Events: []*plugins.Event{suspended(8, "b", "y")}}, func(t *testing.T, w *world) {
		r := w.open("", "")
		synctest.Wait()
		require.Equal(t, []string{"8 reset a=ACTIVE b=SUSPENDED"}, brief(t, r.read(t)))
		w.see(resumed(10, "b", "y"), added(12, "c", "z"))
		synctest.Wait()
		w.see(removed(13, "a", "x"))
		synctest.Wait()
		require.Equal(t, []string{"10 change b y STATE_CHANGED SUSPENDED>ACTIVE", "12 change c z ADDED >ACTIVE", "13 change a x REMOVED ACTIVE>"}, brief(t, r.read(t)))
		require.Equal(t, []string{"13 reset b=ACTIVE c=ACTIVE"}, brief(t, wait(w.open("", "")).read(t)))
	})
}

// Of a drain that consumers need not be told of the stream shows the reason, and when it was given.
func TestAnotherReasonIsShownAsAChange(t *testing.T) {
	drained := told(10, "a", "x", heartbeat.CauseChanged, heartbeat.Inactive, heartbeat.Inactive)
	drained.Cause = heartbeat.Cause{Kind: heartbeat.ByDrain, By: "ops", Text: "disk"}
	for _, h := range []*plugins.History{ // of a list nobody knows what was before its first change
		{At: 11, Floor: 9, Events: []*plugins.Event{drained}, Services: []*plugins.Event{drained}},
		{At: 9, Floor: 9, Services: []*plugins.Event{told(9, "a", "x", heartbeat.NoChange, heartbeat.None, heartbeat.Inactive)}},
	} {
		in(t, h, func(t *testing.T, w *world) {
			w.see(drained)
			r := wait(w.open("?ser_name=x", "9"))
			all := r.read(t)
			require.Equal(t, []string{"10 change a x ATTRIBUTES_CHANGED INACTIVE>INACTIVE"}, brief(t, all))
			var c mp1.ServiceChange
			require.NoError(t, json.Unmarshal([]byte(all[0].data), &c))
			require.Equal(t, "drained by ops: disk", c.Reason)
			require.Equal(t, "1970-01-01T00:00:10Z", c.Time)
			require.Contains(t, wait(w.open("", "")).read(t)[0].data, "drained by ops: disk")
			require.Empty(t, brief(t, wait(w.open("?ser_name=y", "9")).read(t)))
		})
	}
}

// Of a change of which subscribers are told later the stream says so, at once; of a removal never.
func TestThatSubscribersAreToldLaterIsShownAtOnce(t *testing.T) {
	h := &plugins.History{At: 10, Floor: 10, Services: []*plugins.Event{told(9, "a", "x", heartbeat.NoChange, heartbeat.None, heartbeat.Active)}}
	in(t, h, func(t *testing.T, w *world) {
		for i := range heartbeat.Revision(4) {
			w.see(suspended(11+2*i, "a", "x"), resumed(12+2*i, "a", "x"))
		}
		w.see(removed(19, "a", "x"))
		var all []*mp1.Flapping
		for _, e := range wait(w.open("", "10")).read(t) {
			var c mp1.ServiceChange
			require.NoError(t, json.Unmarshal([]byte(e.data), &c))
			all = append(all, c.Flapping)
		}
		until := "1970-01-01T00:10:17Z" // a period behind the seventh change
		require.Equal(t, []*mp1.Flapping{nil, nil, nil, nil, nil, nil, {Changes: 7, Until: until}, {Changes: 8, Until: until}, nil}, all)
	})
}

// wait returns the reader when it has read what there is.
func wait(r *reader) *reader {
	synctest.Wait()
	return r
}

func TestAStreamGoesOnBehindWhatItHasShown(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(6, "b", "y"), removed(8, "b", "y"), added(9, "a", "x")}}, func(t *testing.T, w *world) {
		w.see(suspended(11, "a", "x"))
		all := []string{"6 change b y ADDED >ACTIVE", "8 change b y REMOVED ACTIVE>", "9 change a x ADDED >ACTIVE", "11 change a x STATE_CHANGED ACTIVE>SUSPENDED"}
		for id, from := range map[string]int{"5": 0, "6": 1, "8": 2, "9": 3, "11": 4} {
			require.Equal(t, all[from:], append([]string{}, brief(t, wait(w.open("", id)).read(t))...), id)
		}
		require.Zero(t, testutil.ToFloat64(w.metrics.resets.WithLabelValues(resetForgotten)))
	})
}

// What is not kept, was never an id, or is of another store or of the future, leads to a reset.
// Who looked before there was any change goes on with the first.
func TestAStreamGoesOnFromAnEmptyStore(t *testing.T) {
	in(t, &plugins.History{}, func(t *testing.T, w *world) {
		require.Equal(t, []string{"0 reset"}, brief(t, wait(w.open("", "")).read(t)))
		w.see(added(3, "a", "x"))
		require.Equal(t, []string{"3 change a x ADDED >ACTIVE"}, brief(t, wait(w.open("", "0")).read(t)))
	})
}

func TestWhatCannotGoOnBeginsAnew(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(6, "b", "y"), removed(8, "b", "y"), added(9, "a", "x")}}, func(t *testing.T, w *world) {
		w.newest = 9
		for _, id := range []string{"4", "0", "7", "10", "9223372036854775807", "9223372036854775808", "-1", "+6", "06", "6 ", "x", "6.0", "1e1"} {
			require.Equal(t, []string{"9 reset a=ACTIVE"}, brief(t, wait(w.open("", id)).read(t)), id)
		}
		require.EqualValues(t, 13, testutil.ToFloat64(w.metrics.resets.WithLabelValues(resetForgotten)))
	})
}

// Another replica has shown what this one has not seen yet.
func TestWhatThisReplicaHasNotSeenIsWaitedFor(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(9, "a", "x")}}, func(t *testing.T, w *world) {
		w.newest = 11
		r, never := w.open("", "11"), w.open("", "10")
		time.Sleep(catchUp - time.Second)
		require.Empty(t, r.read(t))
		w.see(suspended(11, "a", "x"), resumed(12, "a", "x"))
		synctest.Wait()
		require.Equal(t, []string{"12 change a x STATE_CHANGED SUSPENDED>ACTIVE"}, brief(t, r.read(t)))
		require.Equal(t, []string{"12 reset a=ACTIVE"}, brief(t, never.read(t)), "it was no id of this store")
		lost := w.open("", "11")
		synctest.Wait()
		require.Len(t, lost.read(t), 1)
		w.newest = 20
		lost = w.open("", "20")
		time.Sleep(catchUp + time.Second)
		require.Equal(t, []string{"12 reset a=ACTIVE"}, brief(t, lost.read(t)), "the watch hangs")
	})
}

// A list that follows a watch that was lost brings what was missed, or says that it cannot.
func TestAListBringsWhatTheWatchMissedOrBeginsAnew(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(9, "a", "x")}}, func(t *testing.T, w *world) {
		r := wait(w.open("", ""))
		r.read(t)
		w.feed.Load(&plugins.History{At: 14, Floor: 9, Services: []*plugins.Event{renamed(14, "a", "z")}, Events: []*plugins.Event{suspended(12, "a", "x"), resumed(13, "a", "x"), renamed(14, "a", "z")}})
		synctest.Wait()
		require.Equal(t, []string{"12 change a x STATE_CHANGED ACTIVE>SUSPENDED", "13 change a x STATE_CHANGED SUSPENDED>ACTIVE", "14 change a z ATTRIBUTES_CHANGED ACTIVE>ACTIVE"}, brief(t, r.read(t)))
		w.see(renamed(14, "a", "z"))
		synctest.Wait()
		require.Empty(t, r.read(t), "a watch begins with what a list has shown")

		w.feed.Load(&plugins.History{At: 20, Floor: 15, Services: []*plugins.Event{added(19, "b", "x")}, Events: []*plugins.Event{added(19, "b", "x")}})
		synctest.Wait()
		require.Equal(t, []string{"19 reset b=ACTIVE"}, brief(t, r.read(t)), "what came between 14 and 15 is gone")
		require.Equal(t, []string{"19 reset b=ACTIVE"}, brief(t, wait(w.open("", "14")).read(t)))
		w.see(removed(21, "b", "x"))
		synctest.Wait()
		require.Equal(t, []string{"21 change b x REMOVED ACTIVE>"}, brief(t, r.read(t)))
	})
}

// After a restore revisions may repeat, or go on far ahead.
func TestARestoredStoreBeginsAnew(t *testing.T) {
	for _, to := range []heartbeat.Revision{7, 1000} {
		in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(9, "a", "x")}}, func(t *testing.T, w *world) {
			w.newest = to
			r := wait(w.open("", ""))
			r.read(t)
			w.feed.Restored()
			w.feed.Load(&plugins.History{At: to, Floor: 5, Services: []*plugins.Event{added(7, "b", "x")}, Events: []*plugins.Event{added(7, "b", "x")}})
			synctest.Wait()
			require.Equal(t, []string{"7 reset b=ACTIVE"}, brief(t, r.read(t)))
			other := w.open("", "9")
			time.Sleep(catchUp + time.Second) // for it might be of a replica that is ahead
			require.Equal(t, []string{"7 reset b=ACTIVE"}, brief(t, other.read(t)))
		})
	}
}

// A store that was restored by hand may give the same revisions to other changes: who saw one of
// them before the restore, and comes back later, must not go on behind another one.
func TestARepeatedRevisionIsNotTheOneThatWasLost(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(9, "a", "x")}}, func(t *testing.T, w *world) {
		w.see(suspended(11, "a", "x"), resumed(12, "a", "x"))
		w.feed.Restored()
		w.feed.Load(&plugins.History{At: 10, Floor: 5, Services: []*plugins.Event{added(9, "a", "x")}, Events: []*plugins.Event{added(9, "a", "x")}})
		w.newest = 14
		w.see(added(11, "b", "y"), added(12, "c", "y"), added(13, "d", "y"), added(14, "e", "y"))
		for _, id := range []string{"9", "11", "12"} {
			require.Equal(t, []string{"14 reset a=ACTIVE b=ACTIVE c=ACTIVE d=ACTIVE e=ACTIVE"}, brief(t, wait(w.open("", id)).read(t)), id)
		}
		require.Equal(t, []string{"14 change e y ADDED >ACTIVE"}, brief(t, wait(w.open("", "13")).read(t)))
	})
}

// Who reads a filtered stream can keep a list of what matches by ADDED and REMOVED alone.
func TestAServiceEntersAndLeavesAFilter(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 9, Services: []*plugins.Event{added(9, "a", "x"), added(8, "b", "y")}}, func(t *testing.T, w *world) {
		r := wait(w.open("?ser_name=x", ""))
		require.Equal(t, []string{"9 reset a=ACTIVE"}, brief(t, r.read(t)))
		w.see(suspended(10, "b", "y"), renamed(11, "b", "x"), suspended(12, "a", "x"), renamed(13, "a", "y"), resumed(14, "a", "y"), removed(15, "a", "y"), removed(16, "b", "x"))
		synctest.Wait()
		require.Equal(t, []string{"11 change b x ADDED >ACTIVEentered", "12 change a x STATE_CHANGED ACTIVE>SUSPENDED", "13 change a x REMOVED SUSPENDED>left", "16 change b x REMOVED ACTIVE>"}, brief(t, r.read(t)))
		time.Sleep(pingEvery + time.Second)
		require.Equal(t, []string{"16 ping"}, brief(t, r.read(t)), "it goes on behind what it was not shown")
	})
}

// What a service was before the first change that is kept is not known: a filtered stream that
// would have to know begins anew.
func TestAFilteredStreamDoesNotGuess(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 5, Services: []*plugins.Event{added(9, "a", "y")}, Events: []*plugins.Event{suspended(6, "a", "x"), renamed(7, "a", "y"), renamed(8, "b", "q"), renamed(9, "b", "y")}}, func(t *testing.T, w *world) {
		require.Equal(t, []string{"6 change a x STATE_CHANGED ACTIVE>SUSPENDED", "7 change a x REMOVED SUSPENDED>left", "9 reset"}, brief(t, wait(w.open("?ser_name=x", "5")).read(t)))
		require.Len(t, wait(w.open("", "5")).read(t), 4)
		require.Equal(t, []string{"9 change b y ADDED >ACTIVEentered"}, brief(t, wait(w.open("?ser_name=y", "8")).read(t)))
	})
}

func TestACallerSeesWhatHeMayDiscover(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 9, Services: []*plugins.Event{added(9, "a", "x"), added(8, "b", "y")}}, func(t *testing.T, w *world) {
		may := func(names string) {
			is, err := mp1.DecodeRequiredServices(fmt.Appendf(nil, `{"required_services":%q}`, names))
			require.NoError(t, err)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.required = is
		}
		may(`["x"]`)
		r := wait(w.open("", ""))
		require.Equal(t, []string{"9 reset a=ACTIVE"}, brief(t, r.read(t)))
		w.see(suspended(10, "b", "y"), suspended(11, "a", "x"), renamed(12, "a", "secret"))
		synctest.Wait()
		seen := r.read(t)
		require.Equal(t, []string{"11 change a x STATE_CHANGED ACTIVE>SUSPENDED", "12 change a x REMOVED SUSPENDED>left"}, brief(t, seen))
		require.NotContains(t, seen[1].data, "secret")
		may(`["y"]`)
		time.Sleep(pingEvery + time.Second)
		require.Equal(t, []string{"12 reset b=SUSPENDED"}, brief(t, r.read(t)))
	})
}

func TestAStreamPingsWhenNothingChanges(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		r := w.open("", "7")
		time.Sleep(3*pingEvery + time.Second)
		require.Equal(t, []string{"7 ping", "7 ping", "7 ping"}, brief(t, r.read(t)))
	})
}

// Nobody waits for a reader who reads nothing, and he is cut.
func TestASlowReaderIsCut(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		slow, r := wait(w.openBlocked("", "7", make(chan struct{}))), wait(w.open("", "7"))
		w.see(added(10, "a", "x"))
		synctest.Wait()
		require.Len(t, r.read(t), 1, "others do not wait")
		time.Sleep(stall + time.Second)
		slow.wantEnded(t)
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.cut.WithLabelValues(cutSlow)))
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.readers))
	})
}

// A reader for whom the ring is too small while he hangs is cut, and begins anew.
func TestAReaderWhoFallsBehindTheRingIsCut(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		w.feed.ring.most = 5 * entrySize
		hangs, slow := make(chan struct{}), wait(w.open("", "7"))
		slow.block(hangs)
		for at := heartbeat.Revision(10); at < 20; at++ {
			w.see(added(at, fmt.Sprint("i", at), "x"))
			synctest.Wait()
		}
		close(hangs)
		slow.wantEnded(t)
		require.Len(t, slow.read(t), 1, "which it was about to read")
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.cut.WithLabelValues(cutBehind)))
		require.Equal(t, mp1.ResetEvent, wait(w.open("", "12")).read(t)[0].kind)
		require.LessOrEqual(t, w.feed.kept(), 5)
		require.Len(t, wait(w.open("", "17")).read(t), 2)
	})
}

// A browser that leaves ends a stream of HTTP/2, whose response then is nil.
func TestNoDeadlineIsSetOfAResponseThatIsOver(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		r := &reader{ResponseRecorder: httptest.NewRecorder()}
		st := newStream(w.service, r, httptest.NewRequest(http.MethodGet, mp1.EventsPath, nil), mp1.Filter{})
		st.end()
		synctest.Wait()
		require.Zero(t, r.deadline)
	})
}

func TestAllStreamsEndWhenTheServerStops(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		r, hangs := wait(w.open("", "")), wait(w.openBlocked("", "", make(chan struct{})))
		began := time.Now()
		close(w.stop)
		<-r.done
		<-hangs.done
		require.LessOrEqual(t, time.Since(began), stall, "of the bubble's clock")
		require.Zero(t, testutil.ToFloat64(w.metrics.cut.WithLabelValues(cutSlow)))
		require.Zero(t, testutil.ToFloat64(w.metrics.readers))
		w.stop = make(chan struct{})
	})
}
