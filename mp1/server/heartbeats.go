package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
)

// maxHeartbeats is how many bytes the body of a batch of heartbeats may have: so many as
// mp1.MaxHeartbeats of the longest ids need.
const maxHeartbeats = 320 << 10

// heartbeatResources is the route table of heartbeats of many services at once, which MEC 011
// does not have.
func (s *api) heartbeatResources() []resource {
	return []resource{{"/heartbeats", []method{
		{name: "mp1.PostHeartbeats", verb: http.MethodPost, access: OwnersInBody, handle: s.beatAll, heartbeat: true},
	}}}
}

// batchMemory is what the body of a batch is received into, and the lists of its elements and their results.
// It is used again: it was half of the garbage of a batch. The elements' ids are parts of a copy of the body.
type batchMemory struct {
	body    bytes.Buffer
	beats   []mp1.HeartbeatOf
	results []beatResult
}

var batchMemories = sync.Pool{New: func() any { return new(batchMemory) }}

// release gives the memory back, without what was read.
func (m *batchMemory) release() {
	clear(m.beats[:cap(m.beats)]) // a text that is refused has left there what came before its fault
	clear(m.results)
	batchMemories.Put(m)
}

// beatAll carries heartbeats out and answers what PATCH would have answered to each.
func (s *api) beatAll(w http.ResponseWriter, r *http.Request, _ target) error {
	m := batchMemories.Get().(*batchMemory)
	err := s.beatAllIn(m, w, r)
	m.release() // not after a panic: somebody may still write there
	return err
}

func (s *api) beatAllIn(m *batchMemory, w http.ResponseWriter, r *http.Request) error {
	body, err := readBodyInto(&m.body, w, r, maxHeartbeats)
	if err != nil {
		return err
	}
	beats, err := mp1.DecodeHeartbeats(body, m.beats)
	if err != nil {
		return err
	}
	results := slices.Grow(m.results[:0], len(beats))[:len(beats)]
	m.beats, m.results = beats, results
	allowed, places := s.allowedBeats(r, beats, results)
	agent, _ := agentOf(r) // as at PATCH
	s.registry.Beats(r.Context(), agent, allowed, func(i, interval int, err error) {
		if places != nil {
			i = places[i]
		}
		results[i] = s.resultOf(interval, err)
	})
	s.tellBatched(w, results)
	s.writeJSON(w, http.StatusOK, encodeResults(beats, results))
	return nil
}

// tellBatched says how many of the heartbeats are answered with which status. Nearly always it is
// one, or few.
func (s *api) tellBatched(w http.ResponseWriter, results []beatResult) {
	if s.options.Batched == nil {
		return
	}
	counts := map[int]int{}
	for from := 0; from < len(results); {
		to := from
		for to < len(results) && results[to].status == results[from].status {
			to++
		}
		counts[results[from].status] += to - from
		from = to
	}
	for status, n := range counts {
		s.options.Batched(w, status, n)
	}
}

// beatResult is the answer to one of the heartbeats.
type beatResult struct {
	status, interval int
	kind, detail     string // of a refusal
}

func (s *api) resultOf(interval int, err error) beatResult {
	switch {
	case err != nil:
		p := problemOf(err, s.options)
		return beatResult{status: p.status, kind: p.kind(), detail: p.detail}
	case interval > 0:
		return beatResult{status: http.StatusOK, interval: interval}
	default:
		return beatResult{status: http.StatusNoContent}
	}
}

// allowedBeats makes the checks that come before a PATCH reaches its handler, of each heartbeat.
// Those that pass are returned, with their places in beats; nil: all did, and stand where they
// stood. The results of the others are written.
func (s *api) allowedBeats(r *http.Request, beats []mp1.HeartbeatOf, results []beatResult) (allowed []mp1.HeartbeatOf, places []int) {
	allowed = beats
	last, lastErr := "", error(nil) // most come from one application
	for i, b := range beats {
		if i == 0 || b.AppInstanceID != last {
			last, lastErr = b.AppInstanceID, s.mayBeatFor(r, b.AppInstanceID)
		}
		err := lastErr
		if err == nil && !mp1.ValidID(b.SerInstanceID) {
			err = errNoResource
		}
		switch {
		case err == nil && places != nil:
			allowed, places = append(allowed, b), append(places, i)
		case err != nil:
			if places == nil {
				allowed, places = slices.Clone(beats[:i]), make([]int, i, len(beats))
				for k := range places {
					places[k] = k
				}
			}
			results[i] = s.resultOf(0, err)
		}
	}
	return allowed, places
}

// mayBeatFor says why heartbeats for an application are refused.
func (s *api) mayBeatFor(r *http.Request, app string) error {
	if may := s.options.MayActFor; may != nil && !may(r.Context(), app) {
		return ErrNotYours
	}
	return s.precheck(r, target{app: app}, true)
}

// encodeResults writes a mp1.HeartbeatResults. It is no memory that is used again: HTTP/2 may still be
// sending it when its client has gone away and the write has ended.
func encodeResults(beats []mp1.HeartbeatOf, results []beatResult) []byte {
	size := len(`{"results":[]}`) + 1
	for i := range beats { // exactly, of those that succeed
		size += len(`{"serInstanceId":"","status":204},`) + len(beats[i].SerInstanceID)
	}
	b := append(make([]byte, 0, size), `{"results":[`...)
	for i := range results {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"serInstanceId":`...)
		b = appendText(b, beats[i].SerInstanceID)
		b = append(b, `,"status":`...)
		b = strconv.AppendInt(b, int64(results[i].status), 10)
		if n := results[i].interval; n > 0 {
			b = append(b, `,"interval":`...)
			b = strconv.AppendInt(b, int64(n), 10)
		}
		if k := results[i].kind; k != "" {
			b = append(b, `,"type":`...)
			b = appendText(b, k)
		}
		if d := results[i].detail; d != "" {
			b = append(b, `,"detail":`...)
			b = appendText(b, d)
		}
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

// appendText writes a string of JSON.
func appendText(b []byte, s string) []byte {
	if mp1.ValidID(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	text, _ := json.Marshal(s) // a string: cannot fail
	return append(b, text...)
}
