package mp1

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/mp1/spelling"
)

// This file refuses members and query parameters of a filter that MEC 011 does not have.
// Were they ignored, a client that misspells a filter, or writes it as another version of
// the standard has it, would get every service instead of few (docs/adr/0024). In a
// description of a service (§8.1.2.2) unknown members are ignored: they harm nobody.

// formerNames are the names that other versions of MEC 011 have for members of a filter.
var formerNames = map[string]string{
	"serInstanceId": "serInstanceIds", "serName": "serNames", "serCategory": "serCategories", "state": "states", // v1.1.1
	"instance_id": "ser_instance_id", // before v2.1.1; EdgeGallery's name, too
}

// refuseUnknown refuses members that are not among the names, and names in another case.
func (o object) refuseUnknown(names ...string) error {
	if err := o.refuseOtherCase(names...); err != nil {
		return err
	}
	for _, member := range slices.Sorted(maps.Keys(o.members)) { // sorted, so that of several faults always the same is named
		if !slices.Contains(names, member) {
			return o.unknownMember(member, closest(member, names), names...)
		}
	}
	return nil
}

// unknownMember refuses a member that would narrow a filter. like is what it was probably
// meant to be, or "".
func (o object) unknownMember(member, like string, names ...string) error {
	rule := "is not known here, and what narrows a question is never ignored"
	if like != "" {
		rule += "; in MEC 011 v3.1.1 it is " + like
	}
	return o.memberFault(member, rule+" (known are "+strings.Join(names, ", ")+")")
}

// memberFault is a fault of a member that MEC 011 does not have. Its name is repeated only
// if it is one word.
func (o object) memberFault(member, rule string) error {
	switch {
	case isWord(member):
		return &Invalid{o.pathTo(member), rule}
	case o.path == "":
		return &Invalid{"", "a member " + rule}
	}
	return &Invalid{o.path, "a member in it " + rule}
}

// filterWords are parts of names that say that a member narrows a subscription, in the
// form that normalized gives them: some are stems.
var filterWords = []string{"filter", "criteri", "quer", "scope", "local", "categor", "condition", "select", "search", "match", "where", "predicate",
	"constrain", "restrict", "includ", "exclud", "only", "event", "changetype"} //nolint:misspell // stems

// harmless are members that clients in the field send beside filteringCriteria and that
// narrow nothing: EdgeGallery's, and those of subscriptions of other MEC APIs.
var harmless = []string{"subscriptionId", "appInstanceId", "name", "expiryDeadline"}

// refuseMisplaced refuses members of a subscription, beside filteringCriteria, that were
// meant to be filteringCriteria, to stand in it, or to narrow in another way, and members
// that hold a subscription or a part of one. All other members narrow nothing and are
// ignored.
func (o object) refuseMisplaced() error {
	for _, member := range slices.Sorted(maps.Keys(o.members)) {
		if slices.Contains(subscriptionMembers, member) {
			continue
		}
		s := normalized(member)
		if strings.Contains(s, "filter") || strings.Contains(s, "criteri") {
			return o.unknownMember(member, "filteringCriteria", subscriptionMembers...)
		}
		if inside := innerFilterName(o.members[member]); inside != "" {
			return o.memberFault(member, "must not hold "+inside+": what narrows a question is never ignored, and a subscription's members stand at the top of its body, its criteria in filteringCriteria")
		}
		if slices.Contains(harmless, member) {
			continue
		}
		if like := closest(member, criteriaMembers); like != "" {
			return o.memberFault(member, "narrows a question only as filteringCriteria."+like)
		}
		if like := closest(member, queryParameters); like != "" {
			return o.memberFault(member, "narrows no subscription, and what narrows a question is never ignored: "+like+" is a query parameter of lists of services, and filteringCriteria has only "+strings.Join(criteriaMembers, ", "))
		}
		if slices.ContainsFunc(filterWords, func(part string) bool { return strings.Contains(s, part) }) {
			return o.unknownMember(member, "", subscriptionMembers...)
		}
	}
	return nil
}

// filterNames are the names of all members of subscriptions and of all query parameters,
// by their normalized form. _links is left out: it is everywhere, and narrows nothing.
var filterNames = func() map[string]string {
	out := map[string]string{}
	for _, name := range slices.Concat(queryParameters, criteriaMembers, subscriptionMembers) {
		if name != "_links" {
			out[normalized(name)] = name
		}
	}
	for old, now := range formerNames {
		out[normalized(old)] = cmp.Or(out[normalized(old)], now)
	}
	return out
}()

// innerFilterName is the first of filterNames that stands in a value at any depth, or "".
func innerFilterName(v any) string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if inside := innerFilterName(e); inside != "" {
				return inside
			}
		}
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			if name := filterNames[normalized(member)]; name != "" {
				return name
			}
			if inside := innerFilterName(v[member]); inside != "" {
				return inside
			}
		}
	}
	return ""
}

// closest is the one of names that name was probably meant to be, or "". Misspellings are
// open-ended, so that no table of them could replace the comparison.
func closest(name string, names []string) string {
	if same := sameName(name, names); same != "" {
		return same
	}
	s := normalized(name)
	if len(s) < 4 {
		return ""
	}
	for _, near := range []func(string) bool{
		func(n string) bool { return len(s) > 4 && spelling.Distance(s, n) <= 2 }, // date is no misspelt state
		func(n string) bool { return strings.HasSuffix(n, s) },
		func(n string) bool { return strings.Contains(n, s) },
	} {
		if i := slices.IndexFunc(names, func(n string) bool { return near(normalized(n)) }); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// sameName is the one of names that name is in another version or spelling, or "".
func sameName(name string, names []string) string {
	if now := formerNames[name]; slices.Contains(names, now) {
		return now
	}
	s := normalized(name)
	if i := slices.IndexFunc(names, func(n string) bool { return normalized(n) == s }); i >= 0 {
		return names[i]
	}
	return ""
}

// normalized is a name without what languages and people write differently: case,
// separators, brackets, the plural, and service for ser.
func normalized(name string) string {
	if len(name) > maxWord {
		return ""
	}
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	s = strings.Replace(s, "service", "ser", 1)
	if stem, ok := strings.CutSuffix(s, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(s, "s")
}

// maxWord is the most characters of a word.
const maxWord = 64

// isWord reports whether a name is one word. Only such a name is repeated in an error:
// others could be a value, or spoil a log.
func isWord(name string) bool {
	if name == "" || len(name) > maxWord {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
