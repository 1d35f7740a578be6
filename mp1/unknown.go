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
var older = map[string]string{
	"serInstanceId": "serInstanceIds", "serName": "serNames", "serCategory": "serCategories", "state": "states", // v1.1.1
	"instance_id": "ser_instance_id", // before v2.1.1; EdgeGallery's name, too
}

// onlyThese refuses members that are not among the names, and other cases of them.
func (o object) onlyThese(names ...string) error {
	if err := o.only(names...); err != nil {
		return err
	}
	for _, member := range slices.Sorted(maps.Keys(o.members)) { // of several faults always the same is told
		if !slices.Contains(names, member) {
			return o.unknown(member, likest(member, names), names...)
		}
	}
	return nil
}

// unknown refuses a member that would narrow a question; like is what it was probably
// meant to be.
func (o object) unknown(member, like string, names ...string) error {
	rule := "is not known here, and what narrows a question is never ignored"
	if like != "" {
		rule += "; in MEC 011 v3.1.1 it is " + like
	}
	return o.about(member, rule+" (known are "+strings.Join(names, ", ")+")")
}

// about is a fault of a member that is not ours. A name that is no word is not repeated.
func (o object) about(member, rule string) error {
	switch {
	case identifier(member):
		return &Invalid{o.at(member), rule}
	case o.path == "":
		return &Invalid{"", "a member " + rule}
	}
	return &Invalid{o.path, "a member in it " + rule}
}

// narrowing are parts of names of what narrows a question, in whatever words. They are
// as skeleton has them.
var narrowing = []string{"filter", "criteri", "quer", "scope", "local", "categor", "condition", "select", "search", "match", "where", "predicate",
	"constrain", "restrict", "includ", "exclud", "only", "event", "changetype"}

// pointless are members that real clients send beside filteringCriteria, and that narrow
// nothing: EdgeGallery's, and those of subscriptions of other MEC APIs.
var pointless = []string{"subscriptionId", "appInstanceId", "name", "expiryDeadline", "requestTestNotification", "websockNotifConfig"}

// astray refuses members beside filteringCriteria that were meant to be it, to stand in
// it, or to narrow in another way, and objects in which the subscription or a part of it
// stands. All others of a subscription narrow nothing, and are ignored.
func (o object) astray() error {
	for _, member := range slices.Sorted(maps.Keys(o.members)) {
		if slices.Contains(subscriptionMembers, member) {
			continue
		}
		s := skeleton(member)
		if strings.Contains(s, "filter") || strings.Contains(s, "criteri") {
			return o.unknown(member, "filteringCriteria", subscriptionMembers...)
		}
		if inside := wrapped(o.members[member]); inside != "" {
			return o.about(member, "must not hold "+inside+": what narrows a question is never ignored, and a subscription's members stand at the top of its body, its criteria in filteringCriteria")
		}
		if slices.Contains(pointless, member) {
			continue
		}
		if like := likest(member, criteriaMembers); like != "" {
			return o.about(member, "narrows a question only as filteringCriteria."+like)
		}
		if like := likest(member, parameters); like != "" {
			return o.about(member, "narrows no subscription, and what narrows a question is never ignored: "+like+" is a query parameter of lists of services, and filteringCriteria has only "+strings.Join(criteriaMembers, ", "))
		}
		if slices.ContainsFunc(narrowing, func(part string) bool { return strings.Contains(s, part) }) {
			return o.unknown(member, "", subscriptionMembers...)
		}
	}
	return nil
}

// belonging are the names of what stands in a subscription or narrows, by their skeleton.
// Links are everywhere, and narrow nothing.
var belonging = func() map[string]string {
	out := map[string]string{}
	for _, name := range slices.Concat(parameters, criteriaMembers, subscriptionMembers) {
		if name != "_links" {
			out[skeleton(name)] = name
		}
	}
	for old, now := range older {
		out[skeleton(old)] = cmp.Or(out[skeleton(old)], now)
	}
	return out
}()

// wrapped is the name of the first member of a subscription, or of what narrows one, that
// stands in a value at any depth; "": none.
func wrapped(v any) string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if inside := wrapped(e); inside != "" {
				return inside
			}
		}
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			if name := belonging[skeleton(member)]; name != "" {
				return name
			}
			if inside := wrapped(v[member]); inside != "" {
				return inside
			}
		}
	}
	return ""
}

// likest is the name that another one was probably meant to be; "": none can be told.
func likest(name string, names []string) string {
	if same := otherForm(name, names); same != "" {
		return same
	}
	s := skeleton(name)
	if len(s) < 4 {
		return ""
	}
	for _, near := range []func(string) bool{
		func(n string) bool { return len(s) > 4 && distance(s, n) <= 2 }, // date is no misspelt state
		func(n string) bool { return strings.HasSuffix(n, s) },
		func(n string) bool { return strings.Contains(n, s) },
	} {
		if i := slices.IndexFunc(names, func(n string) bool { return near(skeleton(n)) }); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// otherForm is the name that another one is in another version or spelling; "": none.
func otherForm(name string, names []string) string {
	if now := older[name]; slices.Contains(names, now) {
		return now
	}
	s := skeleton(name)
	if i := slices.IndexFunc(names, func(n string) bool { return skeleton(n) == s }); i >= 0 {
		return names[i]
	}
	return ""
}

// skeleton is a name without what languages and people write differently: case,
// separators, brackets, the plural, and service for ser.
func skeleton(name string) string {
	if len(name) > maxIdentifier {
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

const maxIdentifier = 64

// identifier says whether a name may be repeated in an error: a word of a language.
func identifier(name string) bool {
	if name == "" || len(name) > maxIdentifier {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// distance is how many characters must be changed, added or left out to make b of a.
func distance(a, b string) int {
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
