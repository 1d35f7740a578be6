package plugins

import (
	"iter"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
)

// FilterKey is one value of a filter's criterion together with its states and localities, or
// the application whose termination is asked for. It is a key of maps: the subscriptions that a change concerns are looked up by what the
// service is, for to evaluate every filter at every change would cost the product of both.
// States and localities are sets, so that a filter with a thousand values has a thousand
// keys, and not several thousand.
type FilterKey struct {
	by     criterion
	states states
	local  localities
	value  string // of that criterion
}

// criterion is what a filter selects services by; a filter has at most one of the three
// (MEC 011 v3.1.1 §8.1.3.2).
type criterion uint8

const (
	byNone criterion = iota
	byInstance
	byName
	byCategory
	byTermination // of an application: of nothing that a filter selects
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

// localities is a set of the values that ServiceInfo.isLocal may have.
type localities uint8

const anywhere localities = 3

func localityOf(isLocal bool) localities {
	if isLocal {
		return 1
	}
	return 2
}

// terminationOf is the one key of the terminations of an application. No service has it, nor
// has a termination any other: neither costs what is asked of the other.
func terminationOf(app string) FilterKey { return FilterKey{by: byTermination, value: app} }

// FilterKeysOf are all keys of what a subscription asks for; no filter selects every service.
// A subject matches at most one of them, for each of the filter's values is listed once.
func FilterKeysOf(asked *mp1.Subscription) (out []FilterKey) {
	if asked.OfTermination() {
		return []FilterKey{terminationOf(asked.AppInstanceID)}
	}
	c := asked.FilteringCriteria
	one := FilterKey{states: anyState, local: anywhere}
	if c == nil {
		return []FilterKey{one}
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
	out = make([]FilterKey, 0, len(values))
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

// MatchingKeys are the keys of all subscriptions that can ask for the subject. It must agree
// with Subject.AskedBy: a key that is missing here loses notifications.
func MatchingKeys(of Subject) iter.Seq[FilterKey] {
	return func(yield func(FilterKey) bool) {
		i := of.Service
		if i == nil {
			yield(terminationOf(of.Terminated))
			return
		}
		is, where := stateOf(i.State), localityOf(i.IsLocal == nil || *i.IsLocal)
		for by, value := range valuesIn(i) {
			for s := states(1); s <= anyState; s++ {
				if s&is != 0 && (!yield(FilterKey{by, s, where, value}) || !yield(FilterKey{by, s, anywhere, value})) {
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

// SingleKeysOf are the keys of the subject that name one thing only: of a service its id, its
// name, its category, its state or its locality.
func SingleKeysOf(of Subject) iter.Seq[FilterKey] {
	return func(yield func(FilterKey) bool) {
		i := of.Service
		if i == nil {
			yield(terminationOf(of.Terminated))
			return
		}
		for by, value := range valuesIn(i) {
			if by != byNone && !yield(FilterKey{by: by, value: value}) {
				return
			}
		}
		_ = yield(FilterKey{states: stateOf(i.State)}) && yield(FilterKey{local: localityOf(i.IsLocal == nil || *i.IsLocal)})
	}
}

// NarrowestKeys are the keys, of the form that SingleKeysOf gives, under which all is found
// that a subscription asks for, by the criterion that leaves the fewest to look at. The empty
// FilterKey alone: all is to be looked at. A subject has one of them at most.
func NarrowestKeys(asked *mp1.Subscription) (out []FilterKey) {
	c := asked.FilteringCriteria
	switch {
	case asked.OfTermination():
		return FilterKeysOf(asked)
	case c == nil:
		return []FilterKey{{}}
	}
	by, values := valuesOf(c)
	switch {
	case by != byNone:
		for _, v := range values {
			out = append(out, FilterKey{by: by, value: v})
		}
	case len(c.States) > 0:
		for _, s := range distinct(c.States) {
			out = append(out, FilterKey{states: stateOf(s)})
		}
	case c.IsLocal != nil:
		out = []FilterKey{{local: localityOf(*c.IsLocal)}}
	default:
		out = []FilterKey{{}}
	}
	return out
}

// FilterIndex finds the values whose subscriptions can ask for a subject. Its zero value is empty;
// it is not safe for concurrent use.
type FilterIndex[T comparable] struct{ byKey map[FilterKey][]T }

// Add enters v under what a subscription asks for, under which it is not entered yet.
func (x *FilterIndex[T]) Add(asked *mp1.Subscription, v T) {
	if x.byKey == nil {
		x.byKey = map[FilterKey][]T{}
	}
	for _, i := range FilterKeysOf(asked) {
		x.byKey[i] = append(x.byKey[i], v)
	}
}

// Remove takes out what was added under the same.
func (x *FilterIndex[T]) Remove(asked *mp1.Subscription, v T) {
	for _, i := range FilterKeysOf(asked) {
		all := x.byKey[i]
		n := slices.Index(all, v)
		if n < 0 {
			continue
		}
		last := len(all) - 1
		var none T
		all[n], all[last] = all[last], none
		if all = all[:last]; last == 0 {
			delete(x.byKey, i)
		} else {
			x.byKey[i] = all
		}
	}
}

// Candidates are the values whose subscription can ask for the subject, each once; whether it
// does, Subject.AskedBy decides. It costs thirty-two look-ups, for a termination one, and what
// it finds, however many were added.
func (x *FilterIndex[T]) Candidates(of Subject) iter.Seq[T] {
	return func(yield func(T) bool) {
		for one := range MatchingKeys(of) {
			for _, v := range x.byKey[one] {
				if !yield(v) {
					return
				}
			}
		}
	}
}
