package mp1

import (
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
// meant to be. A name that is no word is not repeated.
func (o object) unknown(member, like string, names ...string) error {
	rule := "is not known here, and what narrows a question is never ignored"
	if like != "" {
		rule += "; in MEC 011 v3.1.1 it is " + like
	}
	rule += " (known are " + strings.Join(names, ", ") + ")"
	if !identifier(member) {
		return &Invalid{o.path, "has a member that " + rule}
	}
	return &Invalid{o.at(member), rule}
}

// astray refuses members beside filteringCriteria that were meant to be it, or to stand
// in it. All others of a subscription narrow nothing, and are ignored.
func (o object) astray() error {
	for _, member := range slices.Sorted(maps.Keys(o.members)) {
		if slices.Contains(subscriptionMembers, member) {
			continue
		}
		if s := skeleton(member); strings.Contains(s, "filter") || strings.Contains(s, "criteri") {
			return o.unknown(member, "filteringCriteria", subscriptionMembers...)
		}
		if like := otherForm(member, criteriaMembers); like != "" && identifier(member) {
			return &Invalid{o.at(member), "narrows a question only as filteringCriteria." + like}
		}
	}
	return nil
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
		func(n string) bool { return distance(s, n) <= 2 },
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
