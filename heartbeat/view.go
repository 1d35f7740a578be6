package heartbeat

import "math"

// Observation is one write of a record or of a projection, as the watch or an own
// commit showed it.
type Observation struct {
	ID       ID
	Revision Revision // of the write; of an erasure: its own
	// Projected: it is a write of the projection, else of the record.
	Projected bool
	Present   bool
	Record    Record  // of a record that was put
	Unusable  bool    // something was put that cannot be read, or is not ours
	Lease     LeaseID // of a projection that was put
}

// View is what a replica knows of an instance from observations, which may reach it
// twice and, between the watch and its own commits, out of order.
type View struct {
	Snapshot
	recordSeen, projectionSeen Revision
	// What was put last cannot be read; the snapshot is what was known before.
	recordUnusable, projectionUnusable bool
	// ended is the revision by which the projection was gone, while the record was at
	// revision endedOf; 0 while it is present.
	ended, endedOf Revision
}

// upTo is the revision up to which the view misses nothing, of a watch that shows
// everything up to watched.
func (v *View) upTo(watched Revision) Revision {
	if v.recordUnusable || v.projectionUnusable {
		return 0
	}
	return watched
}

// Observe takes an observation in, unless it is older than what is known: then it says false.
func (v *View) Observe(s Observation) (news bool) {
	seen, unusable := &v.recordSeen, &v.recordUnusable
	if s.Projected {
		seen, unusable = &v.projectionSeen, &v.projectionUnusable
	}
	if s.Revision <= *seen {
		return false
	}
	*seen, *unusable = s.Revision, s.Unusable
	switch {
	case s.Unusable:
	case s.Projected && s.Present:
		v.Projection = Projection{Revision: s.Revision, Lease: s.Lease}
		v.ended, v.endedOf = 0, 0
	case s.Projected:
		v.noteGone(s.Revision)
	case s.Present:
		v.Record, v.At = s.Record, s.Revision
	default:
		v.Record, v.At = Record{}, 0
	}
	return true
}

// noteGone takes in that there was no projection at a revision. If none was known before and
// the record is the same, there was none in between, since a re-arm writes the record too
// (protocol CE1): the end is no newer. At the record's own revision nothing ends: an absence
// that only a read found has ended at an unknown revision, until the watch or a list shows it.
func (v *View) noteGone(at Revision) {
	if v.Projection.Present() || v.ended == 0 || v.ended == unknownEnd || v.endedOf != v.At {
		v.ended, v.endedOf = at, v.At
		if at <= v.At {
			v.ended = unknownEnd
		}
	}
	v.Projection = Projection{}
}

// unknownEnd is later than whatever another replica may have settled.
const unknownEnd = Revision(math.MaxInt64)

// Observations are what a committed transaction shows to its own replica.
func (t *Txn) Observations(at Revision) []Observation {
	var out []Observation
	id := t.Record.ID
	if t.RecordOp != Keep {
		out = append(out, Observation{ID: id, Revision: at, Present: t.RecordOp == Put, Record: t.Record})
	}
	if t.ProjectionOp != Keep {
		out = append(out, Observation{ID: id, Revision: at, Projected: true, Present: t.ProjectionOp == Put, Lease: t.Record.Lease})
	}
	return out
}
