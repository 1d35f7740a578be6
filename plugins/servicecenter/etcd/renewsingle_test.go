package etcd

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// followedRenewal is a renewal that something follows, which a test ends by next.
type followedRenewal struct {
	leave chan struct{}
	ttls  []int // that were told
	next  func()
	ended chan error
}

// Renewed implements heartbeat.Following.
func (f *followedRenewal) Renewed(ttl int, next func()) { f.ttls, f.next = append(f.ttls, ttl), next }

func (r *renewer) follow(id int64) *followedRenewal {
	f := &followedRenewal{leave: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		ttl, err := r.renew(context.Background(), id, f.leave, f)
		if err == nil && ttl != 60 {
			err = errors.New("another answer")
		}
		f.ended <- err
	}()
	synctest.Wait()
	return f
}

// unanswered is the stream with something without an answer that was opened last.
func (k *keepAlives) unanswered() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := len(k.streams) - 1; n >= 0; n-- {
		if len(k.streams[n].got) > k.streams[n].told {
			return n
		}
	}
	return -1
}

// Whoever waits for a renewal and for what follows it wakes up once, when both are over.
func TestWhoWaitsForARenewalWaitsForWhatFollowsIt(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, r *renewer, _ func(int64), _ chan error) {
		for id := range int64(3) { // what is used again is as new
			f := r.follow(id + 1)
			require.Empty(t, f.ttls)
			k.answer(k.unanswered(), 1)
			require.Equal(t, []int{60}, f.ttls, "told with the answer")
			require.Empty(t, f.ended, "what follows is not over")
			time.Sleep(2 * hedgeAfter)
			synctest.Wait()
			require.Equal(t, -1, k.unanswered(), "it is renewed: it is not sent again")
			require.Empty(t, f.ended)
			f.next()
			synctest.Wait()
			require.NoError(t, <-f.ended)
			require.Len(t, f.ttls, 1)
		}
	})
}

// Whoever leaves does not wait for what follows; the renewal itself is awaited all the same.
func TestWhoLeavesWaitsForTheRenewalOnly(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, r *renewer, _ func(int64), _ chan error) {
		f := r.follow(1)
		close(f.leave)
		synctest.Wait()
		require.Empty(t, f.ended)
		k.answer(k.unanswered(), 1)
		require.NoError(t, <-f.ended)
		require.Empty(t, f.ttls, "nobody waits for what follows")

		f = r.follow(2)
		k.answer(k.unanswered(), 1)
		require.Len(t, f.ttls, 1)
		close(f.leave)
		require.ErrorIs(t, <-f.ended, context.Canceled)
		f.next() // it has nobody to tell, and blocks nobody
	})
}

// One that is late, or whose stream breaks, goes on as any other, and nothing follows by itself.
func TestARenewalThatIsSentAgainIsNotFollowed(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, r *renewer, _ func(int64), _ chan error) {
		late := r.follow(1)
		time.Sleep(hedgeAfter + lookEvery)
		synctest.Wait()
		time.Sleep(hedgeAfter)
		synctest.Wait()
		require.Len(t, k.asked(), 2, "it was sent again")
		k.answer(1, 1)
		require.NoError(t, <-late.ended)
		k.answer(0, 1)
		require.Empty(t, late.ttls, "neither by the one nor by the other")

		broken := r.follow(2)
		k.streams[k.unanswered()].answers <- errors.New("broken")
		time.Sleep(2 * retryPause)
		synctest.Wait()
		k.answer(k.unanswered(), 1)
		require.NoError(t, <-broken.ended)
		require.Empty(t, broken.ttls)
	})
}
