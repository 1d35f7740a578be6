package notify

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stage takes places for consumers that hang until they are cut off or let go.
type stage struct {
	*slots
	t     *testing.T
	begun []string // in the order in which they had a place
	cut   map[string]time.Duration
	flown atomic.Int64 // at a time
	most  atomic.Int64
	let   chan struct{} // lets all go
}

func newStage(t *testing.T, most int) *stage {
	return &stage{slots: newSlots(most), t: t, cut: map[string]time.Duration{}, let: make(chan struct{})}
}

// post begins one, and returns when it has a place or waits for one.
func (s *stage) post(in lane, host, app string, took time.Duration) {
	go func() {
		place, ctx := s.take(s.t.Context(), nil, in, host, app)
		if place == nil {
			return // the test has failed
		}
		began := time.Now()
		s.mu.Lock()
		s.begun = append(s.begun, host+" "+app)
		s.mu.Unlock()
		s.most.Store(max(s.most.Load(), s.flown.Add(1)))
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.cut[host+" "+app] = time.Since(began)
			s.mu.Unlock()
		case <-time.After(took):
		case <-s.let:
		}
		s.flown.Add(-1)
		place.done()
	}()
	synctest.Wait()
}

func TestSoManyPostsAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 12)
		for i := range 100 {
			s.post(lane(i%2), fmt.Sprint("host", i), "app", time.Minute)
		}
		require.EqualValues(t, 12, s.flown.Load())
		taken, waiting := s.figures()
		require.Equal(t, []int{12, 88}, []int{taken, waiting})
		close(s.let)
		synctest.Wait()
		require.EqualValues(t, 12, s.most.Load(), "whoever comes and goes")
		require.Len(t, s.begun, 100)
		taken, waiting = s.figures()
		require.Equal(t, []int{0, 0}, []int{taken, waiting})
		require.Empty(t, s.lanes[usual].turns.of)
		require.Empty(t, s.lanes[usual].ripe)
	})
}

func TestWhatHangsIsCutOffWhenItsPlaceIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3)
		s.post(usual, "hangs", "a", time.Hour)
		time.Sleep(time.Millisecond)
		s.post(usual, "hangs", "b", time.Hour)
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		require.Empty(t, s.cut, "nobody waits")
		s.post(usual, "new", "c", time.Millisecond)
		require.Equal(t, map[string]time.Duration{"hangs a": time.Minute}, s.cut, "the oldest, at once, and no more than are needed")
		s.post(usual, "new", "d", 0)
		s.post(usual, "new", "e", 0)
		synctest.Wait()
		require.Equal(t, time.Minute-time.Millisecond, s.cut["hangs b"])
		time.Sleep(time.Second)
		require.Len(t, s.cut, 2)
		close(s.let)
	})
}

func TestNobodyIsCutOffBeforeASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3)
		for i := range 10 {
			s.post(usual, fmt.Sprint("host", i), "a", 900*time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, s.cut)
		require.Len(t, s.begun, 10)
		for i := range 10 {
			s.post(usual, fmt.Sprint("hangs", i), "a", time.Hour)
		}
		began := time.Now()
		s.post(usual, "last", "a", time.Hour)
		time.Sleep(patience*5 + time.Millisecond)
		synctest.Wait()
		require.Len(t, s.cut, 9, "eleven, two at a time, and the last two may go on")
		for _, after := range s.cut {
			require.Equal(t, patience, after)
		}
		require.Less(t, time.Since(began), 6*time.Second)
		close(s.let)
	})
}

// The slow have all the time they may, but no place of the others.
func TestTheSlowHavePlacesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 9)
		for i := range 20 {
			s.post(slow, fmt.Sprint("slow", i), "a", 10*time.Second)
		}
		require.EqualValues(t, 3, s.flown.Load())
		for i := range 6 {
			s.post(usual, "quick", fmt.Sprint(i), time.Millisecond)
		}
		require.EqualValues(t, 9, s.flown.Load(), "at once")
		time.Sleep(70 * time.Second)
		synctest.Wait()
		require.Len(t, s.begun, 26)
		require.Empty(t, s.cut)
	})
}

// Whoever has many waiting has one turn, like whoever has one: by hosts first, then by
// the applications behind one host.
func TestPlacesGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 2) // one place in each lane
		s.post(slow, "first", "a", time.Second)
		for i := range 4 {
			s.post(slow, "many", fmt.Sprint("hog", i/3), time.Second)
		}
		s.post(slow, "gateway", "a", time.Second)
		s.post(slow, "gateway", "a", time.Second)
		s.post(slow, "gateway", "b", time.Second)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"first a", "many hog0", "gateway a", "many hog1", "gateway b", "many hog0", "gateway a", "many hog0"}, s.begun)
	})
}

func TestWhoWaitsNoMoreTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		first, _ := s.take(t.Context(), nil, usual, "h", "a")
		halted := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		none := make(chan *slot, 2)
		go func() { one, _ := s.take(t.Context(), halted, usual, "h", "b"); none <- one }()
		go func() { one, _ := s.take(ctx, nil, usual, "h", "b"); none <- one }()
		synctest.Wait()
		close(halted)
		require.Nil(t, <-none)
		cancel()
		require.Nil(t, <-none)
		require.Empty(t, s.lanes[usual].turns.order)
		first.done()
		first.done()
		taken, waiting := s.figures()
		require.Equal(t, []int{0, 0}, []int{taken, waiting})
		// at the moment in which it is given one
		for range 100 {
			first, _ = s.take(t.Context(), nil, usual, "h", "a")
			ctx, cancel = context.WithCancel(t.Context())
			go func() { one, _ := s.take(ctx, nil, usual, "h", "b"); one.done(); none <- one }()
			synctest.Wait()
			cancel()
			first.done() // before it has seen that
			<-none
			synctest.Wait()
			taken, waiting = s.figures()
			require.Equal(t, []int{0, 0}, []int{taken, waiting})
		}
	})
}

// Its clock may have gone off at the moment in which it is given back.
func TestAPlaceThatWasGivenBackIsNotCutOff(t *testing.T) {
	s := newSlots(2)
	place, ctx := s.take(t.Context(), nil, usual, "h", "a")
	place.done()
	require.Error(t, ctx.Err(), "what is under it has ended")
	place.ripen()
	require.Empty(t, s.lanes[usual].ripe)
}
