// Package load sends requests to a server, as fast as it answers or at a rate, and keeps what
// each of them took. It knows HTTP's wire and the clock; it must not know what is asked, nor
// which server answers.
package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms keep microseconds up to longest, with three digits.
const (
	longest = 10 * time.Minute
	digits  = 3
)

// Hist is a distribution of times. It is safe for concurrent use.
type Hist struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewHist is an empty distribution.
func NewHist() *Hist {
	return &Hist{h: hdrhistogram.New(1, longest.Microseconds(), digits)}
}

// Add counts one time. What is beyond ten minutes counts as ten minutes.
func (h *Hist) Add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.h.RecordValue(min(max(d, 0), longest).Microseconds()) // fails only beyond longest
}

// Merge counts what another one has.
func (h *Hist) Merge(other *Hist) {
	other.mu.Lock()
	defer other.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Merge(other.h)
}

// N is how many times were counted.
func (h *Hist) N() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int(h.h.TotalCount())
}

// At is the time within which p per cent are.
func (h *Hist) At(p float64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.h.ValueAtPercentile(p)) * time.Microsecond
}

// Max is the longest.
func (h *Hist) Max() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.h.Max()) * time.Microsecond
}

// Export is a copy in the library's own form, for its log files.
func (h *Hist) Export() *hdrhistogram.Histogram {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h.Clone()
}
