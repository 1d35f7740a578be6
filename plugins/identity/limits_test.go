package identity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// bench is limits with a clock of its own.
type bench struct {
	*limits
	ctx     context.Context // of every call
	now     time.Duration
	refused [kinds][len(scopes)]int
}

func newBench(c conf.Limits) *bench {
	b := &bench{ctx: context.Background()}
	b.limits = newLimits(c, true, func() time.Duration { return b.now }, func(k kind, s scope) { b.refused[k][s]++ })
	return b
}

var small = conf.Limits{WritesPerSecond: 10, WritesBurst: 20, BytesPerSecond: 1000, BytesBurst: 5000}

// A caller that waits exactly as long as Retry-After says passes, and not before.
func TestTheWaitIsExact(t *testing.T) {
	b := newBench(small)
	for range 20 {
		require.Zero(t, b.Write(b.ctx, "a", "", 0))
	}
	wait := b.Write(b.ctx, "a", "", 0)
	require.Equal(t, 100*time.Millisecond, wait)
	b.now += wait - time.Millisecond
	require.Positive(t, b.Write(b.ctx, "a", "", 0), "and what was refused took nothing")
	b.now += time.Millisecond
	require.Zero(t, b.Write(b.ctx, "a", "", 0))
	require.Positive(t, b.Write(b.ctx, "a", "", 0))
	b.now += time.Hour
	for range 20 {
		require.Zero(t, b.Write(b.ctx, "a", "", 0))
	}
	require.Positive(t, b.Write(b.ctx, "a", "", 0), "no more than the burst is saved up")
	require.Equal(t, 4, b.refused[writes][ofCaller])
}

func TestBytesAreCountedBeforeTheyAreReadAndWhileTheyAre(t *testing.T) {
	b := newBench(small)
	require.Zero(t, b.Write(b.ctx, "a", "", 4000))
	require.Equal(t, time.Second, b.Write(b.ctx, "a", "", 2000), "1,000 are left")
	require.Zero(t, b.Write(b.ctx, "a", "", 1000), "what was refused took nothing")
	require.Equal(t, 3*time.Second, b.Bytes(b.ctx, "a", "", 3000))
	require.Equal(t, 4*time.Second, b.Write(b.ctx, "a", "", 1000), "what was read before its length was known is owed")
	b.now += 4 * time.Second
	require.Zero(t, b.Write(b.ctx, "a", "", 1000))
	b.now += time.Hour
	require.Zero(t, b.Write(b.ctx, "a", "", 1<<40), "more than the bucket holds is all that it holds")
	b.now += time.Minute
	require.Zero(t, b.Write(b.ctx, "a", "", 5000), "and is paid for like that")
	require.Zero(t, b.Bytes(b.ctx, "other", "", 5000))
}

func TestCallersDoNotShareTheirBuckets(t *testing.T) {
	b := newBench(small)
	for range 30 {
		b.Write(b.ctx, "a", "1.2.3.4:5", 0)
	}
	require.Positive(t, b.Write(b.ctx, "a", "9.9.9.9:9", 0))
	require.Zero(t, b.Write(b.ctx, "b", "1.2.3.4:5", 0))
	require.Zero(t, b.Write(b.ctx, "", "1.2.3.4:5", 0))
	for range 30 {
		b.Write(b.ctx, "", "1.2.3.4:99", 0)
	}
	require.Positive(t, b.Write(b.ctx, "", "1.2.3.4:5", 0), "an address is one caller, whatever its port")
	require.Zero(t, b.Write(b.ctx, "", "1.2.3.5:5", 0))
	for range 30 {
		b.Write(b.ctx, "", "[2001:db8::1]:5", 0)
	}
	require.Positive(t, b.Write(b.ctx, "", "[2001:db8::ffff:2]:5", 0), "a host has a whole /64")
	require.Zero(t, b.Write(b.ctx, "", "[2001:db8:0:1::1]:5", 0))
	require.Zero(t, b.Write(b.ctx, "peer 1.2.3.4", "", 0), "an application cannot pass for an address")
}

// A client that names a new application in each request gets no more than all callers have
// together, and the table does not grow.
func TestMadeUpNamesAreNoWayAroundTheLimits(t *testing.T) {
	b := newBench(small)
	passed := 0
	for i := range 20 * allWrites * 3 {
		if b.Write(b.ctx, fmt.Sprint("new", i), "", 0) == 0 {
			passed++
		}
	}
	require.Equal(t, 20*allWrites, passed)
	require.LessOrEqual(t, b.tracked(), maxCallers)
	require.Positive(t, b.refused[writes][ofAll])
	b.now += time.Hour
	passed = 0
	for i := range 3 * maxCallers {
		if b.Write(b.ctx, fmt.Sprint("large", i), "", 4000) == 0 {
			passed++
		}
		require.LessOrEqual(t, b.tracked(), maxCallers)
	}
	require.Equal(t, 5000*allBytes/4000, passed)
}

// Eight made-up names of one address took all the bytes that everybody has.
func TestOneAddressDoesNotUseUpWhatAllHave(t *testing.T) {
	b := newBench(small)
	passed := 0
	for i := range 10 * allBytes {
		if b.Write(b.ctx, fmt.Sprint("new", i), "1.2.3.4:5", 5000) == 0 {
			passed++
		}
	}
	require.Equal(t, allBytes/2, passed, "but a half, for on loopback it is everybody's")
	require.Positive(t, b.refused[bytes][ofAddress])
	require.Zero(t, b.refused[bytes][ofAll])
	require.Zero(t, b.Write(b.ctx, "other", "1.2.3.5:5", 5000))
	require.Positive(t, b.Write(b.ctx, "", "1.2.3.4:6", 5000), "ServiceComb's writes are the address's, too")
	require.Positive(t, b.Write(b.ctx, "new", "[::ffff:1.2.3.4]:5", 5000), "it is the same address")
	require.Zero(t, b.Write(b.ctx, "new0", "[2001:db8::1]:5", 0))
	b.now += time.Second
	require.Zero(t, b.Write(b.ctx, "late", "1.2.3.4:5", 4000), "four callers' worth a second")
	require.Positive(t, b.Write(b.ctx, "later", "1.2.3.4:5", 4000))

	b = newBench(small)
	passed = 0
	for i := range 2 * 20 * allWrites {
		if b.Write(b.ctx, fmt.Sprint("new", i), "1.2.3.4:5", 0) == 0 {
			passed++
		}
	}
	require.Equal(t, 20*allWrites/2, passed)
	require.Zero(t, b.Write(b.ctx, "other", "1.2.3.5:5", 0))
}

// A full table forgets only callers whose buckets are full again; otherwise being forgotten
// would be worth something.
func TestNobodyIsForgivenByBeingForgotten(t *testing.T) {
	b := newBench(conf.Limits{WritesPerSecond: 10, WritesBurst: 20})
	b.total[writes] = rate{1e12, 1e12}
	for range 20 {
		require.Zero(t, b.Write(b.ctx, "spender", "", 0))
	}
	for i := range 2 * maxCallers {
		for range 3 {
			b.Write(b.ctx, fmt.Sprint("other", i), "", 0)
		}
	}
	require.Positive(t, b.Write(b.ctx, "spender", "", 0), "it was not forgotten")
	require.Equal(t, maxCallers, b.tracked())
	require.Positive(t, b.Write(b.ctx, "late", "", 0), "names without buckets of their own share them")
	b.now += 10 * time.Second
	require.Zero(t, b.Write(b.ctx, "late", "", 0), "now there is room")
	require.Equal(t, maxCallers, b.tracked())
}

func TestZeroTurnsALimitOff(t *testing.T) {
	b := newBench(conf.Limits{WritesPerSecond: 10, WritesBurst: 20})
	require.Zero(t, b.Write(b.ctx, "a", "", 1<<40))
	b = newBench(conf.Limits{BytesPerSecond: 1000, BytesBurst: 1000})
	for range 10000 {
		require.Zero(t, b.Write(b.ctx, "a", "", 0))
	}
	b = newBench(conf.Limits{})
	require.Zero(t, b.Write(b.ctx, "a", "", 1<<40))
	require.Zero(t, b.Bytes(b.ctx, "a", "", 1<<40))
}

// A host agent acts for many applications, and whoever registers for ServiceComb names none: an
// identity has one bucket whatever its path, its address and its connection are.
func TestAnIdentityIsOneCallerWhateverItsPath(t *testing.T) {
	b := newBench(small)
	host := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "node-7"})
	for i := range 20 {
		require.Zero(t, b.limits.Write(host, fmt.Sprint("app", i), "1.2.3.4:5", 0))
	}
	require.Positive(t, b.limits.Write(host, "app99", "9.9.9.9:5", 0))
	require.Positive(t, b.limits.Write(host, "", "9.9.9.9:5", 0))
	require.Zero(t, b.Write(b.ctx, "node-7", "1.2.3.4:5", 0), "an application of the path is not the identity of that name")
	other := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "node-8"})
	require.Zero(t, b.limits.Write(other, "app0", "1.2.3.4:5", 0), "an identity does not pay for another, though for the same application")
}

func TestListsAreLimitedByIdentityAndOnlyWithIdentities(t *testing.T) {
	b := newBench(conf.Limits{ListsPerSecond: 3})
	one := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "one"})
	two := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "two"})
	for range 3 {
		require.Zero(t, b.List(one, "1.2.3.4:5"))
	}
	wait := b.List(one, "1.2.3.4:5")
	require.InDelta(t, time.Second/3, wait, float64(time.Microsecond))
	require.Zero(t, b.List(two, "1.2.3.4:5"))
	require.Zero(t, b.limits.Write(one, "", "1.2.3.4:5", 1000), "a list is no write")
	b.now += wait
	require.Zero(t, b.List(one, "1.2.3.4:5"))
	require.Equal(t, 1, b.refused[lists][ofCaller])

	b.identities = false
	for range 1000 {
		require.Zero(t, b.List(b.ctx, "1.2.3.4:5"))
	}
}

func TestALargeListCountsAsSeveral(t *testing.T) {
	b := newBench(conf.Limits{ListsPerSecond: 10})
	one := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "one"})
	other := plugins.WithCaller(b.ctx, &plugins.Caller{Name: "other"})
	require.Zero(t, b.List(one, "1.2.3.4:5"))
	b.Listed(one, "1.2.3.4:5", listSize)
	for range 4 {
		require.Zero(t, b.List(one, "1.2.3.4:5"))
	}
	b.Listed(one, "1.2.3.4:5", 6*listSize) // five more
	require.Equal(t, 100*time.Millisecond, b.List(one, "1.2.3.4:5"))
	for range 100 {
		b.Listed(one, "1.2.3.4:5", 1<<40)
	}
	require.LessOrEqual(t, b.List(one, "1.2.3.4:5"), (listDebt+2)*time.Second, "it is not locked out for minutes")
	require.Zero(t, b.List(other, "1.2.3.4:5"))
	b.identities = false
	b.Listed(b.ctx, "", 1<<40)
	require.Zero(t, b.List(b.ctx, ""))
}
