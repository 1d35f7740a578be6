package heartbeat

import (
	"fmt"
	"testing"
)

// Observations of one instance in the order in which the store wrote them.
var history = []Observation{
	{ID: "i", Revision: 1, Present: true, Record: Record{ID: "i", Seq: 1, Lease: 7}},
	{ID: "i", Revision: 1, Projected: true, Present: true, Lease: 7},
	{ID: "i", Revision: 2, Projected: true},
	{ID: "i", Revision: 3, Present: true, Record: Record{ID: "i", Seq: 1, Lease: 8}},
	{ID: "i", Revision: 3, Projected: true, Present: true, Lease: 8},
	{ID: "i", Revision: 4},
	{ID: "i", Revision: 4, Projected: true},
}

// after is what the first n observations amount to.
func after(n int) Snapshot {
	var s Snapshot
	for _, h := range history[:n] {
		switch {
		case h.Projected && h.Present:
			s.Projection = Projection{Revision: h.Revision, Lease: h.Lease}
		case h.Projected:
			s.Projection = Projection{}
		case h.Present:
			s.Record, s.At = h.Record, h.Revision
		default:
			s.Record, s.At = Record{}, 0
		}
	}
	return s
}

// permute calls f with every order of 0..n-1.
func permute(n int, f func([]int)) {
	order := make([]int, 0, n)
	var place func(used uint)
	place = func(used uint) {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if used&(1<<i) == 0 {
				order = append(order, i)
				place(used | 1<<i)
				order = order[:len(order)-1]
			}
		}
	}
	place(0)
}

// A replica's own commits and its watch show the same writes, twice and in any
// order; what it knows at the end is what was written last.
func TestAnyOrderOfSightsLeadsToTheLastWrite(t *testing.T) {
	orders := 0
	for n := 1; n <= len(history); n++ {
		permute(n, func(order []int) {
			orders++
			var v View
			for _, i := range order {
				v.Observe(history[i])
				if v.Observe(history[i]) {
					t.Fatalf("order %v: observation %d is news a second time", order, i)
				}
			}
			if v.Snapshot != after(n) {
				t.Fatalf("order %v: knows %+v, want %+v", order, v.Snapshot, after(n))
			}
		})
	}
	t.Logf("%d orders", orders)
}

func TestAnErasureIsNotUndoneByAnOlderWrite(t *testing.T) {
	var v View
	v.Observe(history[5])
	v.Observe(history[6])
	for i, h := range history[:5] {
		if v.Observe(h) || v.Exists() || v.Projection.Present() {
			t.Errorf("observation %d of revision %d brings back what revision 4 erased", i, h.Revision)
		}
	}
}

func TestATransactionShowsWhatItWrote(t *testing.T) {
	r := Record{ID: "i", Lease: 7}
	for _, c := range []struct {
		record, projection Op
		want               string
	}{
		{Keep, Keep, "[]"},
		{Put, Keep, "[record put]"},
		{Keep, Put, "[projection put on 7]"},
		{Put, Put, "[record put projection put on 7]"},
		{Erase, Erase, "[record erased projection erased on 7]"},
	} {
		txn := Txn{Record: r, RecordOp: c.record, ProjectionOp: c.projection}
		var got []string
		for _, s := range txn.Observations(9) {
			if s.ID != "i" || s.Revision != 9 {
				t.Errorf("a observation of %s at %d", s.ID, s.Revision)
			}
			words := map[bool]string{false: "record ", true: "projection "}[s.Projected] + map[bool]string{false: "erased", true: "put"}[s.Present]
			if s.Projected {
				words += fmt.Sprint(" on ", s.Lease)
			}
			got = append(got, words)
		}
		if s := fmt.Sprint(got); s != c.want {
			t.Errorf("ops %d, %d show %s, want %s", c.record, c.projection, s, c.want)
		}
	}
}

// A record that was overwritten with something that cannot be read is as it was, but
// nothing is concluded from that.
func TestAnUnusableRecordIsNotTrusted(t *testing.T) {
	var v View
	v.Observe(history[0])
	if at := v.upTo(9); at != 9 {
		t.Errorf("up to %d, not 9", at)
	}
	v.Observe(Observation{ID: "i", Revision: 2, Present: true, Unusable: true})
	if at := v.upTo(9); at != 0 || v.Record != history[0].Record || v.At != 1 {
		t.Errorf("up to %d, %+v", at, v.Snapshot)
	}
	v.Observe(Observation{ID: "i", Revision: 3, Projected: true})
	if at := v.upTo(9); at != 0 {
		t.Error("the end of its projection made it readable")
	}
	v.Observe(history[0])
	if at := v.upTo(9); at != 0 {
		t.Error("an older observation made it readable")
	}
	v.Observe(Observation{ID: "i", Revision: 4, Present: true, Record: Record{ID: "i", Seq: 2}})
	if at := v.upTo(9); at != 9 || v.Record.Seq != 2 {
		t.Errorf("up to %d, %+v", at, v.Snapshot)
	}
	v.Observe(Observation{ID: "i", Revision: 5, Projected: true, Unusable: true})
	if at := v.upTo(9); at != 0 {
		t.Error("a projection that is not ours is trusted")
	}
	v.Observe(Observation{ID: "i", Revision: 6, Projected: true, Present: true, Lease: 7})
	if at := v.upTo(9); at != 9 || v.Projection.Lease != 7 {
		t.Errorf("up to %d, %+v", at, v.Snapshot)
	}
}

// The revision by which an absence had begun is what other replicas must have settled.
func TestAnAbsenceHasEndedNoEarlierThanItIsKnownToHave(t *testing.T) {
	rec := Record{ID: "i", State: Active, Interval: 1, Window: 2, Lease: 7}
	put := func(v *View, at Revision) {
		v.Observe(Observation{ID: "i", Revision: at, Present: true, Record: rec})
		v.Observe(Observation{ID: "i", Revision: at, Projected: true, Present: true, Lease: 7})
	}
	list := func(v *View, record, at Revision) {
		s := Snapshot{Record: rec, At: record}
		for _, one := range observationsOf("i", &s, at) {
			v.Observe(one)
		}
	}
	for _, c := range []struct {
		name  string
		shown func(v *View)
		want  Revision
	}{
		{"the watch shows the end", func(v *View) { put(v, 3); v.Observe(Observation{ID: "i", Revision: 5, Projected: true}) }, 5},
		{"a list shows it later: the same end", func(v *View) { put(v, 3); v.Observe(Observation{ID: "i", Revision: 5, Projected: true}); list(v, 3, 9) }, 5},
		{"a list shows another record: a later end", func(v *View) { put(v, 3); v.Observe(Observation{ID: "i", Revision: 5, Projected: true}); list(v, 7, 9) }, 9},
		{"only a list shows it", func(v *View) { put(v, 3); list(v, 3, 9) }, 9},
		{"it is back", func(v *View) { put(v, 3); v.Observe(Observation{ID: "i", Revision: 5, Projected: true}); put(v, 6) }, 0},
		{"only a read shows it", func(v *View) { list(v, 3, 3) }, unknownEnd},
		{"a read shows it, then the watch", func(v *View) { list(v, 3, 3); v.Observe(Observation{ID: "i", Revision: 5, Projected: true}) }, 5},
	} {
		var v View
		c.shown(&v)
		if v.ended != c.want {
			t.Errorf("%s: ended by %d, want %d", c.name, v.ended, c.want)
		}
	}
}
