package heartbeat

import (
	"math/bits"
	"sync/atomic"
)

// Load is how many heartbeats are to be expected of all instances that are ACTIVE and must be
// heard, as a replica knows them. Both are sums of whole numbers, so that replicas which know the
// same records know the same load.
type Load struct {
	Free  int64 // instances that leave their interval to the platform
	Fixed int64 // heartbeats of the others, in millionths of one a second
}

// A platform that is to receive at most so many heartbeats a second chooses intervals by which
// aimShare of them will come, and keeps those by which no more than keepShare come. Between the two
// lies what may be added, or go away, without that anybody is told anything; above them what may be
// registered while those that were there before are told, each at its next heartbeat.
const (
	aimShare, keepShare = 3, 4 // of shareParts
	shareParts          = 5
)

// million is how many parts of Load.Fixed are one heartbeat a second.
const million = 1_000_000

// Choose is the interval, in seconds, of an instance that leaves it to the platform: current is
// the one that it has; 0: none yet. It is the default interval, or twice that, four times and so on
// up to MaxInterval: the shortest of these by which no more than three fifths of
// MaxBeatsPerSecond come. One that the instance has is kept while it is no longer than that, and no
// more than four fifths come by it. Nothing else counts, so every replica chooses the same.
func (p *Policy) Choose(current int, l Load) int {
	if p.MaxBeatsPerSecond == 0 {
		return p.DefaultInterval
	}
	aim, known := p.DefaultInterval, current == p.DefaultInterval
	for aim != p.longer(aim) && !p.bears(aimShare, aim, l) {
		aim = p.longer(aim)
		known = known || current == aim
	}
	if known && current < aim && p.bears(keepShare, current, l) {
		return current
	}
	return aim
}

// longer is the next longer interval that may be chosen; the same, if there is none. The last is
// MaxInterval, and none is so near to it that the gaps between heartbeats would not show which of
// the two an application keeps (Local.followInterval).
func (p *Policy) longer(interval int) int {
	near := 4 * p.MaxInterval
	switch {
	case 5*2*interval < near:
		return 2 * interval
	case 5*interval < near:
		return p.MaxInterval
	default:
		return interval
	}
}

// bears says whether no more than a share of MaxBeatsPerSecond come if all that leave it to the
// platform have this interval. A fifth of the share is theirs, however many the others take: else
// those could have everybody's death noticed as late as can be, though that keeps no bound.
func (p *Policy) bears(share int64, interval int, l Load) bool {
	all := share * million * int64(p.MaxBeatsPerSecond)
	left := max(all-shareParts*l.Fixed, all/shareParts)
	// An interval of weeks beside a high bound takes more than 64 bits.
	most, low := bits.Mul64(uint64(left), uint64(interval)) //nolint:gosec // neither is below 0
	return most > 0 || uint64(shareParts*million*l.Free) <= low
}

// negotiate is Interval, of an instance that has the interval current; 0: none yet.
func (p *Policy) negotiate(proposed, current int, l Load) int {
	if proposed == 0 {
		return p.Choose(current, l)
	}
	return p.Interval(proposed)
}

// interval is what the instance is to be told.
func (in *Input) interval(r *Record) int {
	if n := in.Policy.negotiate(r.Proposed, r.Interval, in.Load); n != r.Interval && in.mayChange(r) {
		return n
	}
	return r.Interval
}

// followsLoad says whether the interval of the record is chosen by the load.
func (p *Policy) followsLoad(r *Record) bool { return r.Proposed == 0 && p.MaxBeatsPerSecond != 0 }

// mayChange says whether the record may be written now because of its interval. One that follows the
// load is that of very many, which must not keep heartbeats waiting: so many are written in a
// second, and none while the store takes none; the next heartbeat is soon enough.
func (in *Input) mayChange(r *Record) bool {
	if !in.Policy.followsLoad(r) {
		return true
	}
	return !in.Health.Full && in.Changes.take(in.Now)
}

// share is what an instance adds to the load.
type share struct {
	interval int32 // 0: nothing
	free     bool
}

func (r *Record) share() share {
	if !r.Expires() {
		return share{}
	}
	return share{int32(r.Interval), r.Proposed == 0} //nolint:gosec // a day at most
}

// rate is how many heartbeats come, in millionths of one a second, rounded up.
func (s share) rate() int64 {
	if s.interval <= 0 {
		return 0
	}
	return (million + int64(s.interval) - 1) / int64(s.interval)
}

// loadMeter adds up the load of all instances.
type loadMeter struct{ free, fixed, due atomic.Int64 }

// replace has an instance add something else than before.
func (m *loadMeter) replace(was, is share) {
	if was == is {
		return
	}
	m.add(was, -1)
	m.add(is, 1)
}

func (m *loadMeter) add(s share, sign int64) {
	m.due.Add(sign * s.rate())
	switch {
	case s.interval == 0:
	case s.free:
		m.free.Add(sign)
	default:
		m.fixed.Add(sign * s.rate())
	}
}

func (m *loadMeter) load() Load { return Load{Free: m.free.Load(), Fixed: m.fixed.Load()} }
