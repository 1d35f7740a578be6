package mp1

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// What narrows a question is never ignored: whoever misspells a filter, or writes it as
// another version of the standard has it, would else be told of everything. So a filter
// takes the members of v3.1.1 and no others, unlike a description (§8.1.2.2), in which a
// member that is not known here says something more and harms nobody.

// older are names that other versions of MEC 011 have for members of a filter.
var formerNames = map[string]string{
	"serInstanceId": "serInstanceIds", "serName": "serNames", "serCategory": "serCategories", "state": "states", // v1.1.1
	"instance_id": "ser_instance_id", // before v2.1.1; EdgeGallery's name, too
}

// onlyThese refuses members that are not among the names, and other cases of them.
func (o object) refuseUnknown(names ...string) error {
	if err := o.refuseOtherCase(names...); err != nil {
		return err
	}
	for _, member := range slices.Sorted(maps.Keys(o.members)) { // of several faults always the same is told
		if !slices.Contains(names, member) {
			return o.unknownMember(member, closest(member, names), names...)
		}
	}
	return nil
}

// unknown refuses a member that would narrow a question; like is what it was probably
// meant to be.
func (o object) unknownMember(member, like string, names ...string) error {
	rule := "is not known here, and what narrows a question is never ignored"
	if like != "" {
		rule += "; in MEC 011 v3.1.1 it is " + like
	}
	return o.memberFault(member, rule+" (known are "+strings.Join(names, ", ")+")")
}

// about is a fault of a member that is not ours. A name that is no word is not repeated.
func (o object) memberFault(member, rule string) error {
	switch {
	case isWord(member):
		return &Invalid{o.pathTo(member), rule}
	case o.path == "":
		return &Invalid{"", "a member " + rule}
	}
	return &Invalid{o.path, "a member in it " + rule}
}

// narrowing are parts of names of what narrows a question, in whatever words. They are
// as skeleton has them.
var filterWords = []string{"filter", "criteri", "quer", "scope", "local", "categor", "condition", "select", "search", "match", "where", "predicate",
	"constrain", "restrict", "includ", "exclud", "only", "event", "changetype"}

// pointless are members that real clients send beside filteringCriteria, and that narrow
// nothing: EdgeGallery's, and those of subscriptions of other MEC APIs.
var harmless = []string{"subscriptionId", "appInstanceId", "name", "expiryDeadline", "requestTestNotification", "websockNotifConfig"}

// astray refuses members beside filteringCriteria that were meant to be it, to stand in
// it, or to narrow in another way, and objects in which the subscription or a part of it
// stands. All others of a subscription narrow nothing, and are ignored.
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

// belonging are the names of what stands in a subscription or narrows, by their skeleton.
// Links are everywhere, and narrow nothing.
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

// wrapped is the name of the first member of a subscription, or of what narrows one, that
// stands in a value at any depth; "": none.
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

// likest is the name that another one was probably meant to be; "": none can be told.
func closest(name string, names []string) string {
	if same := sameName(name, names); same != "" {
		return same
	}
	s := normalized(name)
	if len(s) < 4 {
		return ""
	}
	for _, near := range []func(string) bool{
		func(n string) bool { return len(s) > 4 && editDistance(s, n) <= 2 }, // date is no misspelt state
		func(n string) bool { return strings.HasSuffix(n, s) },
		func(n string) bool { return strings.Contains(n, s) },
	} {
		if i := slices.IndexFunc(names, func(n string) bool { return near(normalized(n)) }); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// otherForm is the name that another one is in another version or spelling; "": none.
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

// skeleton is a name without what languages and people write differently: case,
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

const maxWord = 64

// identifier says whether a name may be repeated in an error: a word of a language.
func isWord(name string) bool {
	if name == "" || len(name) > maxWord {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// distance is how many characters must be changed, added or left out to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
