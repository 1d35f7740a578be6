package center

import (
	"maps"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/metrics"
	scprometheus "github.com/apache/servicecomb-service-center/pkg/prometheus"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// durationsName is service-center's summary of how long requests took.
const durationsName = "http_request_durations_microseconds"

// durations takes the place of service-center's summary among the metrics, and shows beside what
// that has of its own routes those of ours. Prometheus' summary sorts each observation into five
// streams, which costs a heartbeat more than the engine does; ours count them.
type durations struct {
	theirs *prometheus.SummaryVec
	origin time.Time // from which parts are counted

	mu   sync.Mutex
	ours map[requestsOf]*duration
}

// requestsOf are the labels that the series of our routes differ by.
type requestsOf struct{ method, route string }

// newDurations takes the summary off the metrics, and adds what shows it.
func newDurations(to *plugins.Collectors) *durations {
	theirs, _ := scprometheus.Vectors[durationsName].(*prometheus.SummaryVec)
	d := &durations{theirs: theirs, origin: time.Now(), ours: map[requestsOf]*duration{}}
	if theirs != nil {
		prometheus.Unregister(theirs)
		to.Add(d)
	}
	return d
}

// Describe implements prometheus.Collector.
func (d *durations) Describe(out chan<- *prometheus.Desc) { d.theirs.Describe(out) }

// Collect implements prometheus.Collector.
func (d *durations) Collect(out chan<- prometheus.Metric) {
	d.theirs.Collect(out)
	of := make(chan *prometheus.Desc, 1)
	d.theirs.Describe(of)
	desc := <-of
	instance, now := metrics.InstanceName(), time.Now()
	d.mu.Lock()
	ours := maps.Clone(d.ours)
	d.mu.Unlock()
	for of, one := range ours {
		out <- prometheus.MustNewConstSummary(desc, one.count.Load(), float64(one.sum.Load())/float64(time.Microsecond), one.quantiles(now), of.method, instance, of.route, defaultTenant)
	}
}

// of is the series of one method of the routes of a name.
func (d *durations) of(method, route string) *duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := requestsOf{method, route}
	one := d.ours[of]
	if one == nil {
		one = &duration{origin: d.origin}
		d.ours[of] = one
	}
	return one
}

const (
	// As Prometheus' summaries, quantiles are of the last ten minutes, of which the oldest two go at
	// a time.
	durationParts = 5
	durationPart  = 2 * time.Minute
	// An observation is kept as microseconds of so many significant bits: it is off by less than 4 %.
	durationBits = 4
	mostDuration = 1<<27 - 1 // two minutes: longer than any request
)

// duration is one series: how many, their sum, and how they were spread lately.
type duration struct {
	origin time.Time
	count  atomic.Uint64
	sum    atomic.Int64 // nanoseconds

	emptying sync.Mutex
	current  atomic.Int64 // the number of the part that is being filled
	parts    [durationParts][durationSlots]atomic.Uint32
}

const durationSlots = (27-durationBits)<<durationBits + 1<<durationBits

// observe takes one in that ended now.
func (d *duration) observe(took time.Duration, now time.Time) {
	d.count.Add(1)
	d.sum.Add(int64(took))
	d.parts[d.partAt(now)][slotOf(took)].Add(1)
}

// partAt is the part that is being filled now. Those that were filled longer ago than they count are
// emptied; of what is observed at that very moment one may be lost to the quantiles.
func (d *duration) partAt(now time.Time) int64 {
	number := int64(now.Sub(d.origin) / durationPart)
	if number > d.current.Load() {
		d.emptying.Lock()
		defer d.emptying.Unlock()
		for n := max(d.current.Load()+1, number-durationParts+1); n <= number; n++ {
			for i := range d.parts[n%durationParts] {
				d.parts[n%durationParts][i].Store(0)
			}
		}
		d.current.Store(max(number, d.current.Load()))
	}
	return number % durationParts
}

// quantiles are those that service-center shows, in microseconds; NaN: nothing was observed lately.
func (d *duration) quantiles(now time.Time) map[float64]float64 {
	d.partAt(now)
	var spread [durationSlots]uint64
	all := uint64(0)
	for p := range d.parts {
		for i := range d.parts[p] {
			n := uint64(d.parts[p][i].Load())
			spread[i] += n
			all += n
		}
	}
	out := map[float64]float64{}
	for _, q := range []float64{0.5, 0.9, 0.99} {
		out[q] = math.NaN()
		rank := uint64(math.Ceil(q * float64(all)))
		for i, before := 0, uint64(0); i < durationSlots && all > 0; i++ {
			if before += spread[i]; before >= rank {
				out[q] = middleOf(i)
				break
			}
		}
	}
	return out
}

// slotOf is where an observation is counted: each microsecond by itself up to 32, and then 16 slots
// for each doubling.
func slotOf(took time.Duration) int {
	us := uint64(min(max(took.Microseconds(), 0), mostDuration))
	shift := max(bits.Len64(us)-durationBits-1, 0)
	return shift<<durationBits + int(us>>shift)
}

// middleOf is the middle of a slot, in microseconds.
func middleOf(slot int) float64 {
	shift := max(slot>>durationBits-1, 0)
	from := uint64(slot-shift<<durationBits) << shift
	return float64(from) + float64(uint64(1)<<shift-1)/2
}
