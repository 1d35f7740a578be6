package etcd

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// keepAlives stands in for etcd: it notes what it is asked, and answers when a test says so.
type keepAlives struct {
	pb.LeaseClient
	mu      sync.Mutex
	streams []*keepAlive
}

type keepAlive struct {
	grpc.ClientStream
	ctx     context.Context
	of      *keepAlives
	got     []int64
	answers chan error // nil: the next renewal without an answer is answered
	told    int        // how many were
}

func (k *keepAlives) LeaseKeepAlive(ctx context.Context, _ ...grpc.CallOption) (pb.Lease_LeaseKeepAliveClient, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &keepAlive{ctx: ctx, of: k, answers: make(chan error, 1000)}
	k.streams = append(k.streams, s)
	return s, nil
}

func (s *keepAlive) Send(r *pb.LeaseKeepAliveRequest) error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.got = append(s.got, r.ID)
	return nil
}

func (s *keepAlive) Recv() (*pb.LeaseKeepAliveResponse, error) {
	select {
	case err := <-s.answers:
		if err != nil {
			return nil, err
		}
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		s.told++
		return &pb.LeaseKeepAliveResponse{ID: s.got[s.told-1], TTL: 60}, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// renewals runs a test over such a stand-in. renew begins a renewal, whose end comes to ended; asked is
// what came along which stream, in the order in which they were opened.
func renewals(t *testing.T, permits int, test func(k *keepAlives, r *renewer, renew func(id int64), ended chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, ended := &keepAlives{}, make(chan error, 1000)
		r := newRenewer(k, make(hedgePermits, permits))
		defer r.close()
		test(k, r, func(id int64) {
			go func() {
				ttl, err := r.renew(t.Context(), id)
				if err == nil && ttl != 60 {
					err = errors.New("another answer")
				}
				ended <- err
			}()
			synctest.Wait()
		}, ended)
	})
}

func (k *keepAlives) asked() (all [][]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.streams {
		all = append(all, append([]int64(nil), s.got...))
	}
	return all
}

// answer answers so many renewals of a stream.
func (k *keepAlives) answer(stream, n int) {
	for range n {
		k.streams[stream].answers <- nil
	}
	synctest.Wait()
}

func TestRenewalsOfOneMomentAreSentTogether(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, r *renewer, renew func(int64), ended chan error) {
		for id := range int64(10) {
			renew(id + 1)
		}
		require.Equal(t, [][]int64{{1}}, k.asked(), "the first is sent at once, the others wait for its answer")
		k.answer(0, 1)
		require.Equal(t, [][]int64{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, k.asked(), "and are sent together, in order")
		renew(11)
		k.answer(0, 8)
		require.Len(t, k.asked()[0], 10)
		k.answer(0, 1)
		require.Len(t, k.asked()[0], 10, "the last of them was answered, and as many may come again")
		time.Sleep(gatherTime)
		synctest.Wait()
		require.Len(t, k.asked()[0], 11)
		require.Len(t, ended, 10)

		many := make([]heartbeat.LeaseID, flight)
		for i := range many {
			many[i] = heartbeat.LeaseID(100 + i)
		}
		b := &renewalBatch{news: make(chan struct{}, 1)}
		require.Equal(t, flight-1, r.streams[0].sendAll(many[1:], 1, b))
		synctest.Wait()
		require.Len(t, k.asked()[0], 11)
		require.Equal(t, 1, r.streams[0].sendAll(many[:1], 0, b))
		synctest.Wait()
		require.Len(t, k.asked()[0], 11+flight, "so many wait for nobody")
		k.answer(0, 1+flight)
		require.Len(t, b.heard, flight)
		require.Len(t, ended, 11)
		for range 11 {
			require.NoError(t, <-ended)
		}
		require.Len(t, k.asked(), 1, "one stream suffices")
	})
}

// Renewals that come one after the other share flights, and those that went together last time wait
// for each other, but not for long. One that comes alone waits for nobody.
func TestRenewalsThatFollowEachOtherShareFlights(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, _ *renewer, renew func(int64), ended chan error) {
		id := int64(0)
		next := func() {
			id++
			renew(id)
		}
		sent := func() int { return len(k.asked()[0]) }
		for range 20 {
			next()
			require.EqualValues(t, id, sent(), "alone")
			k.answer(0, 1)
			time.Sleep(gatherTime / 10)
		}
		for range 3 {
			next()
		}
		k.answer(0, 1)
		require.EqualValues(t, id, sent(), "two that waited for an answer")
		k.answer(0, 2)
		flights, answered := 0, sent()
		for range 100 {
			next()
			time.Sleep(gatherTime / 10)
			synctest.Wait()
			if n := sent() - answered; n > 0 {
				k.answer(0, n)
				answered, flights = answered+n, flights+1
			}
		}
		require.LessOrEqual(t, flights, 11, "of ten and more")
		time.Sleep(gatherTime)
		synctest.Wait()
		require.EqualValues(t, id, sent(), "nobody is left behind")
		k.answer(0, sent()-answered)
		time.Sleep(gatherTime)
		before := sent()
		for range 5 {
			next()
		}
		require.Equal(t, before, sent(), "more went together last time")
		time.Sleep(gatherTime)
		synctest.Wait()
		require.Equal(t, before+5, sent(), "these did not come")
		k.answer(0, 5)
		time.Sleep(gatherTime)
		for range 5 {
			require.Equal(t, before+5, sent())
			next()
		}
		require.Equal(t, before+10, sent(), "all are there")
		k.answer(0, 5)
		require.Len(t, ended, int(id))
	})
}

// One without an answer is sent again along another stream, if there is a permit, and not awaited for ever.
func TestARenewalWithoutAnAnswerIsSentAlongAnotherStream(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, _ *renewer, renew func(int64), ended chan error) {
		renew(1)
		renew(2)
		time.Sleep(hedgeAfter - 1)
		synctest.Wait()
		require.Equal(t, [][]int64{{1}}, k.asked())
		time.Sleep(lookEvery + 2)
		synctest.Wait()
		all := k.asked()
		require.Len(t, all, 2)
		require.Len(t, all[1], 1, "there is one permit")
		k.answer(1, 1)
		require.NoError(t, <-ended)
		synctest.Wait()
		again := 0
		for _, got := range k.asked()[1:] {
			again += len(got)
		}
		require.Equal(t, 2, again, "the other one has the permit now")
		time.Sleep(CallTimeout)
		synctest.Wait()
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
	})
}

// What is on a stream that breaks is sent along another one at once.
func TestWhatABrokenStreamCarriedIsSentAgain(t *testing.T) {
	renewals(t, 1, func(k *keepAlives, _ *renewer, renew func(int64), ended chan error) {
		renew(1)
		renew(2)
		k.streams[0].answers <- errors.New("broken")
		time.Sleep(2 * retryPause)
		synctest.Wait()
		require.Greater(t, len(k.asked()), 1)
		for len(ended) < 2 {
			for n, got := range k.asked() {
				if n > 0 {
					k.answer(n, len(got)-k.streams[n].told)
				}
			}
		}
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
	})
}
