package notify

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hangOr hangs until it is cut off, or for ten seconds; here answers.
func hangOr(ctx context.Context, url string) result {
	if url == here {
		return result{}
	}
	if r := hang(ctx, url); ctx.Err() == nil {
		return r
	}
	return result{outcome: cutShort}
}

// Eight hundred consumers hang and there are permits for 43: no more are ever in flight,
// and a consumer that answers waits for the others' first attempt at most, and from then on
// for none.
func TestHangingConsumersLeavePermitsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{answer: hangOr}
		r := newReplica(t, s, to, "a", true)
		r.permits = newSemaphore(43)
		for i := range 800 {
			r.subscribe(t, fmt.Sprint("app", i), fmt.Sprintf("http://127.0.0.1:%d/", 2000+i))
		}
		r.subscribe(t, "app", here)
		synctest.Wait()
		began := time.Now()
		s.commit("x", "S")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			require.LessOrEqual(t, to.inFlight.Load(), int64(43))
		}
		got := to.of(here)
		require.Len(t, got, 1)
		require.Less(t, got[0].at.Sub(began), 800*preemptAfter/29+2*preemptAfter)
		for n := range 20 {
			at := time.Now()
			s.commit("x", "A")
			synctest.Wait()
			got = to.of(here)
			require.Len(t, got, n+2)
			require.Equal(t, at, got[n+1].at, "those that hung before do not hold it up")
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, to.inFlight.Load(), int64(43))
	})
}

// A consumer that is slow in any other way is in the class of the slow from then on: the
// prompt wait for its first attempt only, and not at every event.
func TestWhoeverTakesItsTimeHoldsUpOthersOnce(t *testing.T) {
	for name, end := range map[string]struct {
		after time.Duration
		with  result
	}{
		"takes it, and hangs in the body":     {restTimeout, result{outcome: delivered, unfinished: true}},
		"refuses it, and hangs in the body":   {restTimeout, result{outcome: failed, unfinished: true}},
		"takes it after a while":              {5 * time.Second, result{outcome: delivered}},
		"closes the connection after a while": {5 * time.Second, result{outcome: unreachable}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, to := newFakeStore(), &subscribers{}
				to.answer = func(ctx context.Context, url string) result {
					if url == here {
						return result{}
					}
					select {
					case <-ctx.Done():
						return result{outcome: cutShort}
					case <-time.After(end.after):
						return end.with
					}
				}
				r := newReplica(t, s, to, "a", true)
				r.permits = newSemaphore(12)
				for i := range 100 {
					r.subscribe(t, fmt.Sprint("app", i), fmt.Sprintf("http://127.0.0.1:%d/", 2000+i))
				}
				r.subscribe(t, "app", here)
				s.commit("x", "S")
				time.Sleep(3 * time.Minute)
				require.Len(t, to.of(here), 1)
				for n := range 20 {
					at := time.Now()
					s.commit("x", "A")
					synctest.Wait()
					got := to.of(here)
					require.Len(t, got, n+2)
					require.Equal(t, at, got[n+1].at)
					time.Sleep(20 * time.Second)
				}
			})
		})
	}
}

// A slow consumer gets all of notify.timeout, though not at the first attempt.
func TestASlowConsumerIsSentToAmidHangingOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		to.answer = func(ctx context.Context, url string) result {
			if url != here {
				return hangOr(ctx, url)
			}
			select {
			case <-ctx.Done():
				return result{outcome: cutShort}
			case <-time.After(5 * time.Second):
				return result{}
			}
		}
		r := newReplica(t, s, to, "a", true)
		r.permits = newSemaphore(6)
		r.subscribe(t, "slow", here)
		for i := range 20 {
			r.subscribe(t, fmt.Sprint("app", i), fmt.Sprintf("http://127.0.0.1:%d/", 2000+i))
		}
		s.commit("x", "S")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		got := to.of(here)
		require.NotEmpty(t, got)
		for _, one := range got {
			require.Equal(t, got[0].id, one.id)
		}
		n := len(got)
		time.Sleep(time.Hour)
		require.Len(t, to.of(here), n, "it was sent")
	})
}

// The wait for a permit may be long, and the lock may be lost meanwhile: then nothing is sent.
func TestNothingIsSentWithAPermitThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		r := newReplica(t, s, to, "a", false)
		r.permits = newSemaphore(2)
		permit, _ := r.permits.acquire(t.Context(), nil, slow, "h", "a")
		other, _ := r.permits.acquire(t.Context(), nil, prompt, "h", "a")
		r.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		s.commit("x", "S")
		time.Sleep(time.Second)
		_, waiting := r.permits.counts()
		require.Equal(t, 1, waiting)
		r.link.setCut(true)
		time.Sleep(trustTime + time.Second)
		other.release()
		synctest.Wait()
		require.Empty(t, to.of(here), "the lock is not sure any more")
		taken, waiting := r.permits.counts()
		require.Equal(t, []int{1, 0}, []int{taken, waiting}, "and the permit is given back")
		r.link.setCut(false)
		time.Sleep(20 * time.Second)
		require.Len(t, to.of(here), 1)
		permit.release()
	})
}

func TestAWorkerThatWaitsForAPermitStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		r := newReplica(t, s, to, "a", true)
		r.permits = newSemaphore(2)
		permit, _ := r.permits.acquire(t.Context(), nil, prompt, "h", "a")
		defer permit.release()
		id := r.subscribe(t, "app", here)
		s.commit("x", "S")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Unsubscribe(t.Context(), "app", id))
		require.Zero(t, time.Since(began))
		require.Empty(t, to.of(here))
	})
}

// What is cut off leaves no connection behind: its permit is given to another at once.
func TestNoConnectionOutlivesItsPost(t *testing.T) {
	closed, asked := make(chan struct{}, 10), make(chan struct{}, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed {
			closed <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	w := newWebhook(policy{loopback: true}, long, "test", nil)
	s := newSemaphore(2)
	permit, ctx := s.acquire(t.Context(), nil, prompt, "h", "a")
	done := make(chan result, 1)
	go func() { done <- w.post(ctx, delivery{id: "x", url: srv.URL, body: []byte("{}")}, 0) }()
	<-asked
	permit.cancel(errPreempted)
	require.Equal(t, result{outcome: cutShort}, <-done)
	<-closed
	require.True(t, result{outcome: cutShort}.hung())
	require.True(t, result{outcome: timedOut}.hung())
	require.False(t, result{outcome: unreachable}.hung())
	permit.release()

	// nor does one that is dialled for a POST that is over
	c := &connections{ctx: t.Context()}
	c.close()
	_, err := tracked(new(net.Dialer).DialContext)(context.WithValue(t.Context(), connectionsKey{}, c), "tcp", srv.Listener.Addr().String())
	require.ErrorIs(t, err, context.Canceled)
	<-closed
	over, end := context.WithCancel(t.Context())
	end()
	_, err = tracked(new(net.Dialer).DialContext)(context.WithValue(t.Context(), connectionsKey{}, &connections{ctx: over}), "tcp", srv.Listener.Addr().String())
	require.Error(t, err, "http.Transport's own context goes on")

	// nor a DNS query whose context is over
	over, end = context.WithCancel(t.Context())
	question, err := askDNS(over, "udp", "127.0.0.1:53")
	require.NoError(t, err)
	end()
	_, err = question.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}
