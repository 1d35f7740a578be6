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

// permitStage takes permits for consumers that hang until they are cut off or let go.
type permitStage struct {
	*semaphore
	t          *testing.T
	begun      []string // in the order in which they had a permit
	cut        map[string]time.Duration
	inFlight   atomic.Int64 // at a time
	most       atomic.Int64
	releaseAll chan struct{} // lets all go
}

func newStage(t *testing.T, most int) *permitStage {
	return &permitStage{semaphore: newSemaphore(most), t: t, cut: map[string]time.Duration{}, releaseAll: make(chan struct{})}
}

// post begins one, and returns when it has a permit or waits for one.
func (s *permitStage) post(in consumerClass, host, app string, took time.Duration) {
	go func() {
		permit, ctx := s.acquire(s.t.Context(), nil, in, host, app)
		if permit == nil {
			return // the test has failed
		}
		began := time.Now()
		s.mu.Lock()
		s.begun = append(s.begun, host+" "+app)
		s.mu.Unlock()
		s.most.Store(max(s.most.Load(), s.inFlight.Add(1)))
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.cut[host+" "+app] = time.Since(began)
			s.mu.Unlock()
		case <-time.After(took):
		case <-s.releaseAll:
		}
		s.inFlight.Add(-1)
		permit.release()
	}()
	synctest.Wait()
}

func TestSoManyPostsAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 12)
		for i := range 100 {
			s.post(consumerClass(i%2), fmt.Sprint("host", i), "app", time.Minute)
		}
		require.EqualValues(t, 12, s.inFlight.Load())
		taken, waiting := s.counts()
		require.Equal(t, []int{12, 88}, []int{taken, waiting})
		close(s.releaseAll)
		synctest.Wait()
		require.EqualValues(t, 12, s.most.Load(), "whoever comes and goes")
		require.Len(t, s.begun, 100)
		taken, waiting = s.counts()
		require.Equal(t, []int{0, 0}, []int{taken, waiting})
		require.Empty(t, s.classes[prompt].queue.byName)
		require.Empty(t, s.classes[prompt].preemptible)
	})
}

func TestWhatHangsIsCutOffWhenItsPermitIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3)
		s.post(prompt, "hangs", "a", time.Hour)
		time.Sleep(time.Millisecond)
		s.post(prompt, "hangs", "b", time.Hour)
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		require.Empty(t, s.cut, "nobody waits")
		s.post(prompt, "new", "c", time.Millisecond)
		require.Equal(t, map[string]time.Duration{"hangs a": time.Minute}, s.cut, "the oldest, at once, and no more than are needed")
		s.post(prompt, "new", "d", 0)
		s.post(prompt, "new", "e", 0)
		synctest.Wait()
		require.Equal(t, time.Minute-time.Millisecond, s.cut["hangs b"])
		time.Sleep(time.Second)
		require.Len(t, s.cut, 2)
		close(s.releaseAll)
	})
}

func TestNobodyIsCutOffBeforeASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3)
		for i := range 10 {
			s.post(prompt, fmt.Sprint("host", i), "a", 900*time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, s.cut)
		require.Len(t, s.begun, 10)
		for i := range 10 {
			s.post(prompt, fmt.Sprint("hangs", i), "a", time.Hour)
		}
		began := time.Now()
		s.post(prompt, "last", "a", time.Hour)
		time.Sleep(preemptAfter*5 + time.Millisecond)
		synctest.Wait()
		require.Len(t, s.cut, 9, "eleven, two at a time, and the last two may go on")
		for _, after := range s.cut {
			require.Equal(t, preemptAfter, after)
		}
		require.Less(t, time.Since(began), 6*time.Second)
		close(s.releaseAll)
	})
}

// The slow have all the time they may, but no permit of the others.
func TestTheSlowHavePermitsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 9)
		for i := range 20 {
			s.post(slow, fmt.Sprint("slow", i), "a", 10*time.Second)
		}
		require.EqualValues(t, 3, s.inFlight.Load())
		for i := range 6 {
			s.post(prompt, "quick", fmt.Sprint(i), time.Millisecond)
		}
		require.EqualValues(t, 9, s.inFlight.Load(), "at once")
		time.Sleep(70 * time.Second)
		synctest.Wait()
		require.Len(t, s.begun, 26)
		require.Empty(t, s.cut)
	})
}

// A host with many waiters is served once a round, like one with a single waiter, and so are
// the applications of one host.
func TestPermitsGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 2) // one permit in each class
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

func TestWhoWaitsNoMoreTakesNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSemaphore(2)
		first, _ := s.acquire(t.Context(), nil, prompt, "h", "a")
		halted := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		none := make(chan *permit, 2)
		go func() { one, _ := s.acquire(t.Context(), halted, prompt, "h", "b"); none <- one }()
		go func() { one, _ := s.acquire(ctx, nil, prompt, "h", "b"); none <- one }()
		synctest.Wait()
		close(halted)
		require.Nil(t, <-none)
		cancel()
		require.Nil(t, <-none)
		require.Empty(t, s.classes[prompt].queue.order)
		first.release()
		first.release()
		taken, waiting := s.counts()
		require.Equal(t, []int{0, 0}, []int{taken, waiting})
		// at the moment in which it is given one
		for range 100 {
			first, _ = s.acquire(t.Context(), nil, prompt, "h", "a")
			ctx, cancel = context.WithCancel(t.Context())
			go func() { one, _ := s.acquire(ctx, nil, prompt, "h", "b"); one.release(); none <- one }()
			synctest.Wait()
			cancel()
			first.release() // before it has seen that
			<-none
			synctest.Wait()
			taken, waiting = s.counts()
			require.Equal(t, []int{0, 0}, []int{taken, waiting})
		}
	})
}

// Its timer may have fired at the moment in which it is released.
func TestAPermitThatWasReleasedIsNotCancelled(t *testing.T) {
	s := newSemaphore(2)
	permit, ctx := s.acquire(t.Context(), nil, prompt, "h", "a")
	permit.release()
	require.Error(t, ctx.Err(), "what is under it has ended")
	permit.becomePreemptible()
	require.Empty(t, s.classes[prompt].preemptible)
}
