package heartbeat

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// bounded is a policy by which the interval follows the load.
func bounded(perSecond, least, most int) Policy {
	p := between(1, most)
	p.DefaultInterval, p.MaxBeatsPerSecond, p.AllowedMisses = least, perSecond, 2
	return p
}

// The example of docs/operators.md.
func TestTheIntervalFollowsTheLoad(t *testing.T) {
	p := bounded(1000, 10, 300)
	fixed := Load{Fixed: 500 * million}
	for _, c := range []struct {
		name          string
		current, want int
		load          Load
	}{
		{"nobody", 0, 10, Load{}},
		{"as many as the default bears", 0, 10, Load{Free: 6000}},
		{"one more", 0, 20, Load{Free: 6001}},
		{"it has the default", 10, 10, Load{Free: 8000}},
		{"which does not do any more", 10, 20, Load{Free: 8001}},
		{"very many more", 10, 160, Load{Free: 50000}},
		{"more than the longest bears", 10, 300, Load{Free: 1e6}},
		{"not fewer than the longer one was chosen for", 20, 20, Load{Free: 6001}},
		{"fewer", 20, 10, Load{Free: 6000}},
		{"far fewer", 160, 10, Load{Free: 5000}},
		{"an interval of another configuration", 15, 10, Load{Free: 5000}},
		{"another one", 15, 20, Load{Free: 7000}},
		{"others take half of it", 0, 20, Load{Free: 2000, Fixed: fixed.Fixed}},
		{"others take all of it, a share is left", 0, 10, Load{Free: 1200, Fixed: 800 * million}},
		{"and no more", 0, 20, Load{Free: 1201, Fixed: 800 * million}},
		{"which is kept", 10, 10, Load{Free: 1600, Fixed: 2000 * million}},
		{"and not longer", 10, 20, Load{Free: 1601, Fixed: 2000 * million}},
	} {
		require.Equal(t, c.want, p.Choose(c.current, c.load), c.name)
	}
	p.MaxBeatsPerSecond = 0
	require.Equal(t, 10, p.Choose(40, Load{Free: 1e6}), "without a bound it is the default")
}

// A month is an interval too, and a million a second a bound.
func TestTheLongestIntervalBearsMoreThanAShorterOne(t *testing.T) {
	for _, c := range []struct{ most, least int }{{math.MaxInt32, 3_600_000}, {math.MaxInt32, math.MaxInt32 / 2}, {10_000_000, 3_000_000}} {
		p := bounded(1_000_000, c.least, c.most)
		require.Equal(t, c.least, p.Choose(0, Load{Free: 1}), "one service")
		require.Equal(t, c.least, p.Choose(c.least, Load{Free: 1}), "one service that has it")
		require.Equal(t, c.least, p.Choose(0, Load{Free: 1_000_000_000, Fixed: 100 * million}), "very many")
	}
}

// ladder are all intervals that can be chosen.
func (p *Policy) ladder() (out []int) {
	out = []int{p.DefaultInterval}
	for next := p.longer(p.DefaultInterval); next != out[len(out)-1]; next = p.longer(next) {
		out = append(out, next)
	}
	return out
}

// A pace shows which of two intervals is kept: from 0.8 times the longer one, up to 1.2 times the shorter one.
func TestTheIntervalsToChooseAreDoubled(t *testing.T) {
	for _, c := range []struct {
		least, most int
		want        []int
	}{
		{30, 300, []int{30, 60, 120, 300}},
		{10, 300, []int{10, 20, 40, 80, 160, 300}},
		{1, 3, []int{1, 2, 3}},
		{10, 12, []int{10}},
		{10, 13, []int{10, 13}},
		{1, 2, []int{1, 2}},
		{10, 10, []int{10}},
	} {
		p := bounded(1, c.least, c.most)
		require.Equal(t, c.want, p.ladder(), "%d to %d", c.least, c.most)
	}
	for least := 1; least < 40; least++ {
		for most := least; most < 400; most++ {
			p := bounded(1, least, most)
			all := p.ladder()
			for i := 1; i < len(all); i++ {
				require.Greater(t, 4*all[i], 5*all[i-1], "%d to %d", least, most)
			}
			require.LessOrEqual(t, all[len(all)-1], most)
		}
	}
}

func randomPolicy(r *rand.Rand) Policy {
	least := 1 + r.IntN(60)
	return bounded(1+r.IntN(20000), least, least+r.IntN(1000))
}

func TestAChosenIntervalIsBoundedAndKeepsTheBound(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 3))
	kept := 0
	for range 20000 {
		p := randomPolicy(r)
		l := Load{Free: r.Int64N(1_000_000), Fixed: r.Int64N(2 * million * int64(p.MaxBeatsPerSecond))}
		if r.IntN(2) == 0 {
			l.Fixed /= 10
		}
		current := append(p.ladder(), 0, 1+r.IntN(1000))[r.IntN(len(p.ladder())+2)]
		n := p.Choose(current, l)
		require.Contains(t, p.ladder(), n, "seed %d: %+v %+v, now %d", seed, p, l, current)
		require.Equal(t, n, p.Choose(n, l), "seed %d: the same load changes it again: %+v %+v, now %d", seed, p, l, current)
		if n == p.longer(n) {
			continue
		}
		kept++
		bound, free := .8*float64(p.MaxBeatsPerSecond), float64(l.Free)/float64(n) // if all the others have as short a one
		require.LessOrEqual(t, free, max(bound-float64(l.Fixed)/million, bound/5)+1e-6, "seed %d: %+v %+v, now %d, chosen %d", seed, p, l, current, n)
	}
	require.Greater(t, kept, 2000)
}

func TestTheMoreServicesTheLongerTheInterval(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 4))
	for range 5000 {
		p := randomPolicy(r)
		for _, current := range append(p.ladder(), 0) {
			l := Load{Free: r.Int64N(1_000_000), Fixed: r.Int64N(million * int64(p.MaxBeatsPerSecond))}
			more := Load{Free: l.Free + r.Int64N(100_000), Fixed: l.Fixed + r.Int64N(million*int64(p.MaxBeatsPerSecond)/4+1)}
			require.LessOrEqual(t, p.Choose(current, l), p.Choose(current, more), "seed %d: %+v, now %d: %+v, %+v", seed, p, current, l, more)
		}
	}
}

// A number that goes up and down by less than a quarter changes an interval once at most, and one
// that only grows, or only falls, as often as there are steps.
func TestAnIntervalIsChangedSeldom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 5))
	moved := 0
	for range 2000 {
		p := randomPolicy(r)
		fixed := r.Int64N(million * int64(p.MaxBeatsPerSecond))
		around := 1 + r.Int64N(2*int64(p.MaxBeatsPerSecond)*int64(p.MaxInterval))
		interval, changes := 0, -1
		for range 200 {
			n := around - around/8 + r.Int64N(around/4+1) // from 7/8 to 9/8: the least is above three quarters of the most
			if next := p.Choose(interval, Load{Free: n, Fixed: fixed}); next != interval {
				interval = next
				changes++
			}
		}
		require.LessOrEqual(t, changes, 1, "seed %d: %+v around %d", seed, p, around)
		moved += changes

		interval, changes = p.DefaultInterval, 0
		walk := func(n int64) {
			if next := p.Choose(interval, Load{Free: n, Fixed: fixed}); next != interval {
				interval = next
				changes++
			}
		}
		var n int64
		for n < 3*around {
			walk(n)
			n += 1 + r.Int64N(around/10+1)
		}
		for n > 0 {
			walk(n)
			n -= 1 + r.Int64N(around/10+1)
		}
		walk(0)
		require.LessOrEqual(t, changes, 2*(len(p.ladder())-1), "seed %d: %+v up to %d", seed, p, 3*around)
		require.Equal(t, p.DefaultInterval, interval, "seed %d: all are gone", seed)
	}
	require.Positive(t, moved, "no interval was changed")
}
