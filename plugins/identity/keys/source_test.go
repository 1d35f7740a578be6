package keys

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// origin is a source of keys under control of a test.
type origin struct {
	mu      sync.Mutex
	set     *Set
	err     error
	takes   time.Duration
	fetches int
}

func (o *origin) say(set *Set, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set, o.err = set, err
}

func (o *origin) asked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fetches
}

func (o *origin) fetch(ctx context.Context) (*Set, error) {
	o.mu.Lock()
	o.fetches++
	set, err, takes := o.set, o.err, o.takes
	o.mu.Unlock()
	select {
	case <-time.After(takes):
		return set, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o *origin) source() *Source {
	return &Source{fetch: o.fetch, every: remoteEvery, retry: remoteRetry}
}

func oneKey(t testing.TB, id string) *Set {
	return NewSet([]*Key{{ID: id, Public: newEC(t).Public()}})
}

func TestKeysOfASourceThatIsDownAreKeptAndTheirAgeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := oneKey(t, "a")
		o := &origin{set: first}
		s := o.source()
		var changes []error
		s.Changed = func(err error) { changes = append(changes, err) }
		_, ever := s.Age(time.Now())
		require.False(t, ever)
		require.Nil(t, s.Current())
		ctx, cancel := context.WithCancel(t.Context())
		go s.Run(ctx)
		synctest.Wait()
		require.Same(t, first, s.Current())

		o.say(nil, errors.New("down"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Same(t, first, s.Current())
		age, _ := s.Age(time.Now())
		require.Greater(t, age, 50*time.Minute)
		require.Len(t, changes, 1, "it is said once")
		require.Error(t, changes[0])

		second := oneKey(t, "b")
		o.say(second, nil)
		time.Sleep(remoteRetry)
		synctest.Wait()
		require.Same(t, second, s.Current())
		age, _ = s.Age(time.Now())
		require.LessOrEqual(t, age, remoteRetry)
		require.Len(t, changes, 2)
		require.NoError(t, changes[1])
		cancel()
		synctest.Wait()
	})
}

func TestTheSameKeysOnceMoreAreTheSameSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public := newEC(t).Public()
		o := &origin{set: NewSet([]*Key{{ID: "a", Public: public}})}
		s := o.source()
		s.Load(t.Context())
		first := s.Current()
		o.say(NewSet([]*Key{{ID: "a", Public: public}}), nil)
		s.Load(t.Context())
		require.Same(t, first, s.Current(), "what was verified with them stays so")
	})
}

func TestUnknownKeysCauseOneFetchInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{set: oneKey(t, "a"), takes: time.Second}
		s := o.source()
		s.Load(t.Context())
		require.Equal(t, 1, o.asked())
		known := s.Current()
		for range 100 { // at once: they wait for one fetch together
			go s.Renew(t.Context(), known)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, o.asked())
		for range 7 {
			require.Nil(t, s.Renew(t.Context(), known))
			time.Sleep(time.Second)
		}
		require.Equal(t, 2, o.asked())
		time.Sleep(fruitless)
		require.Nil(t, s.Renew(t.Context(), known))
		require.Equal(t, 3, o.asked())
	})
}

func TestANewKeyIsFoundAtOnceHoweverOftenKeysAreRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{set: oneKey(t, "0")}
		s := o.source()
		s.Load(t.Context())
		for range 5 {
			next := oneKey(t, "next")
			o.say(next, nil)
			before := s.Current()
			require.Same(t, next, s.Renew(t.Context(), before))
			require.Same(t, next, s.Renew(t.Context(), before), "what others had fetched already is not fetched again")
		}
		require.Equal(t, 6, o.asked())
	})
}

func TestASourceThatHangsHoldsNobodyForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{takes: time.Hour}
		s := o.source()
		began := time.Now()
		require.Nil(t, s.Renew(t.Context(), nil))
		require.Equal(t, fetchTime, time.Since(began))
		time.Sleep(fruitless)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.Nil(t, s.Renew(ctx, nil))
		require.Equal(t, time.Second, time.Since(began), "a request that ends waits no longer")
		time.Sleep(fetchTime)
	})
}

// A file on a disk that is gone is read for ever, and no context ends that: tokens, the start
// and the end must not wait for it, and not more than one read of it may.
func TestAReadThatNothingEndsHoldsNobodyForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := oneKey(t, "a"), oneKey(t, "b")
		back := make(chan struct{})
		var reads atomic.Int32
		s := &Source{every: time.Second, retry: time.Second}
		s.fetch = func(context.Context) (*Set, error) {
			if reads.Add(1) == 1 {
				return first, nil
			}
			<-back
			return second, nil
		}
		var changes []error
		s.Changed = func(err error) { changes = append(changes, err) }
		s.Load(t.Context())
		began := time.Now()
		require.Nil(t, s.Renew(t.Context(), first))
		require.Equal(t, fetchTime, time.Since(began))
		require.Same(t, first, s.Current(), "the keys known last are used")
		require.Len(t, changes, 1, "and it is said")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		time.Sleep(time.Hour)
		require.EqualValues(t, 2, reads.Load(), "one read hangs, not one for each second")
		close(back)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Same(t, second, s.Current(), "and when the disk is back, the keys are read again")
		require.Len(t, changes, 2)
		cancel()
		<-ended
	})
}

// Without O_NONBLOCK the open waits for somebody who writes, and the start with it.
func TestAKeyFileThatIsAPipeIsAFaultAndHoldsNobody(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := Read(pipe)
	require.ErrorContains(t, err, "cannot be read: it is no regular file")
	_, err = newClient(pipe)
	require.ErrorContains(t, err, "identity.jwt.caFile: cannot be read: it is no regular file")
}
