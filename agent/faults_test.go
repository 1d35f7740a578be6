package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// What is done after an error hangs on these four answers.
func TestWhatAnErrorMeans(t *testing.T) {
	problem := func(status int) error {
		return fmt.Errorf("mp1 client: %w", &client.Problem{Status: status})
	}
	inTransport := func(err error) error { return &url.Error{Op: "Post", URL: "http://one/", Err: err} }
	type meaning struct{ failsOver, notSent, mayHaveSucceeded, permanent bool }
	for name, c := range map[string]struct {
		err  error
		want meaning
	}{
		"connection refused":  {inTransport(refusedDial()), meaning{failsOver: true, notSent: true}},
		"reset while reading": {inTransport(&net.OpError{Op: "read", Err: errors.New("reset")}), meaning{failsOver: true, mayHaveSucceeded: true}},
		"no answer in time":   {inTransport(context.DeadlineExceeded), meaning{failsOver: true, mayHaveSucceeded: true}},
		"an answer cut off":   {errors.New("unexpected EOF"), meaning{failsOver: true, mayHaveSucceeded: true}},
		"no token":            {inTransport(fmt.Errorf("%w: server: 500", ErrToken)), meaning{}},
		"302":                 {problem(302), meaning{}},
		"400":                 {problem(400), meaning{permanent: true}},
		"401":                 {problem(401), meaning{}},
		"403":                 {problem(403), meaning{permanent: true}},
		"404":                 {problem(404), meaning{permanent: true}},
		"408":                 {problem(408), meaning{}},
		"409":                 {problem(409), meaning{permanent: true}},
		"425":                 {problem(425), meaning{}},
		"429":                 {problem(429), meaning{}},
		"499":                 {problem(499), meaning{permanent: true}},
		"500":                 {problem(500), meaning{mayHaveSucceeded: true}},
		"501":                 {problem(501), meaning{mayHaveSucceeded: true}},
		"502":                 {problem(502), meaning{failsOver: true, mayHaveSucceeded: true}},
		"503":                 {problem(503), meaning{failsOver: true, mayHaveSucceeded: true}},
		"504":                 {problem(504), meaning{failsOver: true, mayHaveSucceeded: true}},
		"507":                 {problem(507), meaning{mayHaveSucceeded: true}},
	} {
		require.Equal(t, c.want, meaning{failsOver(c.err), notSent(c.err), mayHaveSucceeded(c.err), permanent(c.err)}, name)
	}
}

// An agent of the next version is rolled out beside this one: its registration is another.
func TestARegistrationOfAnotherVersionIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		for id, change := range map[string]func(*mp1.ServiceInfo){
			"version": func(i *mp1.ServiceInfo) { i.Version = "2" },
			"name":    func(i *mp1.ServiceInfo) { i.SerName = "other" },
		} {
			info := serviceInfo("s0")
			info.SerInstanceID, info.Links = id, &mp1.ServiceLinks{Self: mp1.SelfLink{Href: mp1.Base + "/services/" + id}}
			change(&info)
			f.add(id, info)
		}
		r := run(t, options(f, 1))
		advance(3 * interval)
		require.Len(t, f.registrations(), 1)
		require.Empty(t, f.sent(http.MethodPut, "version"))
		require.Empty(t, f.sent(http.MethodPut, "name"))
		require.NoError(t, r.stop())
		require.Empty(t, f.sent(http.MethodDelete, "version"))
	})
}

// A machine wakes: all services beat at once, and must not go on doing so together.
func TestServicesThatWereWokenTogetherPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 300
		f := newFakePlatform(10)
		a, err := New(options(f, services))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		advance(3 * interval)
		slept.Store(int64(time.Hour))
		before := len(f.heartbeats())
		advance(tickInterval)
		require.GreaterOrEqual(t, len(f.heartbeats())-before, services, "all that were asleep")
		for round := range 3 {
			woken := time.Now()
			advance(interval)
			perSecond := map[int]int{}
			for _, b := range f.heartbeats() {
				if b.at.After(woken) {
					perSecond[int(b.at.Sub(woken)/time.Second)]++
				}
			}
			require.GreaterOrEqual(t, len(perSecond), 9, "round %d", round)
			for second, n := range perSecond {
				require.Less(t, n, services/4, "round %d, second %d", round, second)
			}
		}
		require.NoError(t, r.stop())
	})
}

// A platform that loses what it has just taken must not be given it again and again. The
// first loss may be a restore, after which everything comes back soon.
func TestWhatIsLostAgainAndAgainIsRegisteredAtGrowingDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		r := run(t, options(f, 1))
		advance(2 * interval)
		f.respondWith(func(r *http.Request, _ int) response {
			if r.Method == http.MethodPost {
				return response{}
			}
			f.forgetAll()
			return response{}
		})
		advance(10 * time.Minute)
		posts := gaps(f.registrations())
		require.GreaterOrEqual(t, len(posts), 10)
		for i, gap := range posts[1:] {
			require.GreaterOrEqual(t, gap, minWait(i+1), "registration %d", i+3)
		}
		require.Less(t, len(posts), 10*60/20, "two a minute in the long run")
		f.respondWith(nil)
		advance(time.Minute)
		require.True(t, r.Ready())
		n := len(f.registrations())
		f.forgetAll()
		advance(2 * interval)
		require.Len(t, f.registrations(), n+1, "after it lived, the first loss is the first")
		require.NoError(t, r.stop())
	})
}

func TestTheWaitAfterALoss(t *testing.T) {
	none, most := jitter(func() float64 { return 0 }), jitter(func() float64 { return 0.999999 })
	require.Zero(t, none.reregisterDelay(1, interval))
	require.InDelta(t, float64(interval/2), float64(most.reregisterDelay(1, interval)), float64(time.Millisecond), "parted over half an interval")
	require.InDelta(t, float64(maxReregisterDelay), float64(most.reregisterDelay(1, time.Hour)), float64(time.Millisecond), "but no longer")
	for losses := 2; losses < 12; losses++ {
		require.Equal(t, none.requestBackoff(losses-1), none.reregisterDelay(losses, interval), losses)
	}
}

func TestWaitsBetweenTries(t *testing.T) {
	none, most := jitter(func() float64 { return 0 }), jitter(func() float64 { return 0.999999 })
	for n, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		require.Equal(t, want, none.requestBackoff(n+1), n)
		require.InDelta(t, float64(want)*3/4, float64(most.requestBackoff(n+1)), float64(want)/1000, n)
	}
	require.Equal(t, maxRequestBackoff, none.requestBackoff(1<<30), "nor does it overflow")
	for seconds, want := range map[time.Duration][3]time.Duration{
		48: {3 * time.Second, 6 * time.Second, 16 * time.Second},
		1:  {minRetry, 200 * time.Millisecond, time.Second / 3},
	} {
		for i, n := range []int{1, 2, 9} {
			require.Equal(t, want[i], none.heartbeatBackoff(n, seconds*time.Second), "%d after %d", seconds, n)
		}
	}
	require.Equal(t, minRetry, none.heartbeatBackoff(5, 0))
	require.Equal(t, 9*time.Second, most.shorten(10*time.Second).Round(time.Millisecond))
	require.Equal(t, 10*time.Second, none.shorten(10*time.Second))
}

// One list or token server that fails again and again is not asked all the time either.
func TestAPlatformThatDoesNotListIsAskedAtGrowingDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respond = onRequest(http.MethodGet, "/services", func(*http.Request) response { return respond(500, nil) })
		r := run(t, options(f, 5))
		advance(10 * time.Minute)
		lists := gaps(f.sent(http.MethodGet, "/services"))
		require.GreaterOrEqual(t, len(lists), 20)
		for i, gap := range lists {
			require.GreaterOrEqual(t, gap, minWait(i+1), "list %d", i+2)
		}
		require.Empty(t, f.registrations(), "what may be there already is not doubled")
		require.False(t, r.Ready())
		f.respondWith(nil)
		advance(maxRequestBackoff + interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestTheShortestWaitOfAllEndpointsCounts(t *testing.T) {
	wait := func(d time.Duration) error { return &client.Problem{Status: 503, RetryAfter: d} }
	silent := errors.New("no answer")
	short, long, none := wait(time.Second), wait(time.Minute), wait(0)
	for _, c := range [][3]error{
		{nil, long, long}, {nil, silent, silent}, {long, short, short}, {short, long, short}, {silent, long, long}, {long, silent, long},
		{none, short, short}, {short, none, short}, {silent, none, silent},
	} {
		require.Equal(t, c[2], shorterWait(c[0], c[1]), "%v, then %v", c[0], c[1])
	}
}

// All endpoints can be tried within one interval, and none is given less than it needs.
func TestTheTimeThatOneEndpointIsGiven(t *testing.T) {
	for _, c := range []struct {
		endpoints               int
		timeout, interval, want time.Duration
	}{
		{1, 10 * time.Second, 10 * time.Second, 5 * time.Second},
		{3, 10 * time.Second, 10 * time.Second, 2500 * time.Millisecond},
		{3, time.Second, 10 * time.Second, time.Second},
		{3, 10 * time.Second, 400 * time.Millisecond, minAttemptTimeout},
	} {
		p := &platform{timeout: c.timeout, clients: make([]*client.Client, c.endpoints)}
		require.Equal(t, c.want, p.attemptTimeout(c.interval), c)
	}
}

// The other endpoint is used from then on, which is counted once.
func TestAnAgentStaysWithTheEndpointThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.Endpoints = []string{"http://one", "http://two", "http://three"}
		f.respond = func(r *http.Request, _ int) response {
			if r.URL.Host != "three" {
				return response{err: refusedDial()}
			}
			return response{}
		}
		a, err := New(o)
		require.NoError(t, err)
		changes := 0
		a.platform.onFailover = func() { changes++ }
		r := start(t, a)
		advance(10 * interval)
		require.Equal(t, 1, changes)
		elsewhere := 0
		for _, s := range f.heartbeats() {
			if s.host != "three" {
				elsewhere++
			}
		}
		require.Zero(t, elsewhere)
		require.NoError(t, r.stop())
	})
}

func TestAProbeIsWhatItSaysOrTheUsual(t *testing.T) {
	for _, p := range []Probe{{}, {Interval: -1, Timeout: -1, Failures: -1}} {
		require.Equal(t, []any{5 * time.Second, time.Second, 3}, []any{p.interval(), p.timeout(), p.failures()})
	}
	p := Probe{Interval: time.Minute, Timeout: 7 * time.Second, Failures: 1}
	require.Equal(t, []any{time.Minute, 7 * time.Second, 1}, []any{p.interval(), p.timeout(), p.failures()})
}
