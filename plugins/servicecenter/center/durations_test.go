package center

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A slot is no wider than a sixteenth of what is counted in it, and slots are in order.
func TestADurationIsKnownToAFewPerCent(t *testing.T) {
	last := -1
	for us := range uint64(1 << 12) {
		slot := slotOf(time.Duration(us) * time.Microsecond)
		require.GreaterOrEqual(t, slot, last)
		last = slot
		require.InDelta(t, float64(us), middleOf(slot), float64(us)/32+0.5, us)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 10000 {
		us := r.Uint64N(mostDuration + 1)
		slot := slotOf(time.Duration(us) * time.Microsecond)
		require.Less(t, slot, durationSlots)
		require.InDelta(t, float64(us), middleOf(slot), float64(us)/32+0.5, "seed %d: %d", seed, us)
	}
	require.Equal(t, durationSlots-1, slotOf(time.Hour))
	require.Zero(t, slotOf(-time.Second))
}

func TestQuantilesAreOfTheLastTenMinutes(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	origin := time.Now()
	d := &duration{origin: origin}
	for q, v := range d.quantiles(origin) {
		require.True(t, math.IsNaN(v), q)
	}
	all, sum := make([]float64, 5000), 0.
	for i := range all {
		took := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		all[i] = float64(took) / float64(time.Microsecond)
		sum += float64(took)
		d.observe(took, origin.Add(time.Duration(i)*time.Millisecond))
	}
	slices.Sort(all)
	for q, v := range d.quantiles(origin.Add(durationPart)) {
		want := all[int(math.Ceil(q*5000))-1]
		require.InDelta(t, want, v, want/16+1, "seed %d, quantile %v", seed, q)
	}
	require.EqualValues(t, 5000, d.count.Load())
	require.InDelta(t, sum, float64(d.sum.Load()), 1)

	later := origin.Add((durationParts - 1) * durationPart)
	require.Less(t, d.quantiles(later)[0.5], 2000., "they still count")
	d.observe(time.Second, later)
	require.Less(t, d.quantiles(later)[0.5], 2000.)
	later = later.Add(durationPart)
	for q, v := range d.quantiles(later) {
		require.InDelta(t, 1e6, v, 1e6/16, "only the last is left: quantile %v", q)
	}
	d.observe(time.Second, origin) // by who was stopped meanwhile
	require.InDelta(t, 1e6, d.quantiles(later)[0.99], 1e6/16)
	for q, v := range d.quantiles(later.Add(24 * time.Hour)) {
		require.True(t, math.IsNaN(v), q)
	}
	require.EqualValues(t, 5002, d.count.Load())
}
