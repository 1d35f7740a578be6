package plugins

import (
	"iter"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
)

// Interest is what a filter asks for, with one value of the criterion that it has. It is
// a key of maps: who asked for a change is found by what the change is, and not by asking
// every filter. States and localities are sets, so that a filter has as many Interests as
// it has values: a filter may have a thousand.
type Interest struct {
	by     criterion
	states states
	local  localities
	value  string // of that criterion
}

// criterion is one of the three of which a filter has at most one (MEC 011 v3.1.1
// §8.1.3.2).
type criterion uint8

const (
	byNone criterion = iota
	byInstance
	byName
	byCategory
)

// states is a set of states.
type states uint8

const anyState states = 7

func stateOf(s mp1.State) states {
	switch s {
	case mp1.Active:
		return 1
	case mp1.Inactive:
		return 2
	case mp1.Suspended:
		return 4
	}
	return anyState // of another release: the filter decides
}

// localities is a set of what isLocal may say.
type localities uint8

const anywhere localities = 3

func localityOf(isLocal bool) localities {
	if isLocal {
		return 1
	}
	return 2
}

// InterestsOf are all that a filter asks for; nil asks for everything. A service has at
// most one of them, for each of its values stands there once.
func InterestsOf(c *mp1.FilteringCriteria) (out []Interest) {
	one := Interest{states: anyState, local: anywhere}
	if c == nil {
		return []Interest{one}
	}
	if c.IsLocal != nil {
		one.local = localityOf(*c.IsLocal)
	}
	if len(c.States) > 0 {
		one.states = 0
		for _, s := range c.States {
			one.states |= stateOf(s)
		}
	}
	by, values := valuesOf(c)
	one.by = by
	out = make([]Interest, 0, len(values))
	for _, one.value = range values {
		out = append(out, one)
	}
	return out
}

// valuesOf are the values of the criterion that a filter has. If it has several, which
// no request is allowed, the first is as good as any: Match decides.
func valuesOf(c *mp1.FilteringCriteria) (criterion, []string) {
	switch {
	case len(c.SerInstanceIDs) > 0:
		return byInstance, distinct(c.SerInstanceIDs)
	case len(c.SerNames) > 0:
		return byName, distinct(c.SerNames)
	case len(c.SerCategories) > 0:
		var ids []string
		for _, r := range c.SerCategories {
			ids = append(ids, r.ID)
		}
		return byCategory, distinct(ids)
	}
	return byNone, []string{""}
}

func distinct[T ~string](values []T) []T {
	out := slices.Clone(values)
	slices.Sort(out)
	return slices.Compact(out)
}

// InterestsIn are all Interests that a filter may have to which a change is told after
// which the service is i: it must be consistent with FilteringCriteria.Match.
func InterestsIn(i *mp1.ServiceInfo) iter.Seq[Interest] {
	return func(yield func(Interest) bool) {
		is, where := stateOf(i.State), localityOf(i.IsLocal == nil || *i.IsLocal)
		for by, value := range valuesIn(i) {
			for s := states(1); s <= anyState; s++ {
				if s&is != 0 && (!yield(Interest{by, s, where, value}) || !yield(Interest{by, s, anywhere, value})) {
					return
				}
			}
		}
	}
}

func valuesIn(i *mp1.ServiceInfo) iter.Seq2[criterion, string] {
	return func(yield func(criterion, string) bool) {
		_ = yield(byNone, "") && yield(byInstance, i.SerInstanceID) && yield(byName, i.SerName) &&
			(i.SerCategory == nil || yield(byCategory, i.SerCategory.ID))
	}
}

// CriteriaOf are the Interests with a single criterion that a change meets after which
// the service is i.
func CriteriaOf(i *mp1.ServiceInfo) iter.Seq[Interest] {
	return func(yield func(Interest) bool) {
		for by, value := range valuesIn(i) {
			if by != byNone && !yield(Interest{by: by, value: value}) {
				return
			}
		}
		_ = yield(Interest{states: stateOf(i.State)}) && yield(Interest{local: localityOf(i.IsLocal == nil || *i.IsLocal)})
	}
}

// NarrowestOf are those of CriteriaOf by which all that a filter matches are found, by
// the criterion that leaves the least to look at; the empty Interest alone: everything
// is to be looked at. A service meets one of them at most.
func NarrowestOf(c *mp1.FilteringCriteria) (out []Interest) {
	if c == nil {
		return []Interest{{}}
	}
	by, values := valuesOf(c)
	switch {
	case by != byNone:
		for _, v := range values {
			out = append(out, Interest{by: by, value: v})
		}
	case len(c.States) > 0:
		for _, s := range distinct(c.States) {
			out = append(out, Interest{states: stateOf(s)})
		}
	case c.IsLocal != nil:
		out = []Interest{{local: localityOf(*c.IsLocal)}}
	default:
		out = []Interest{{}}
	}
	return out
}

// Index finds those who asked for a change. Its zero value is empty; it is not safe for
// concurrent use.
type Index[T comparable] struct{ of map[Interest][]T }

// Add enters v under a filter, under which it is not entered yet.
func (x *Index[T]) Add(c *mp1.FilteringCriteria, v T) {
	if x.of == nil {
		x.of = map[Interest][]T{}
	}
	for _, i := range InterestsOf(c) {
		x.of[i] = append(x.of[i], v)
	}
}

// Remove takes out what was added under the same filter.
func (x *Index[T]) Remove(c *mp1.FilteringCriteria, v T) {
	for _, i := range InterestsOf(c) {
		all := x.of[i]
		n := slices.Index(all, v)
		if n < 0 {
			continue
		}
		last := len(all) - 1
		var none T
		all[n], all[last] = all[last], none
		if all = all[:last]; last == 0 {
			delete(x.of, i)
		} else {
			x.of[i] = all
		}
	}
}

// Asking are those whose filter a change may match after which the service is i, each
// once; the filter decides. It costs thirty-two look-ups and what it finds, however many
// were added.
func (x *Index[T]) Asking(i *mp1.ServiceInfo) iter.Seq[T] {
	return func(yield func(T) bool) {
		for one := range InterestsIn(i) {
			for _, v := range x.of[one] {
				if !yield(v) {
					return
				}
			}
		}
	}
}
