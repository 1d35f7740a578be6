package original

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// difference is a place in an answer where the original's and ours are not the same. What only
// ours has is none: MEC 011's members stand beside EdgeGallery's.
type difference struct {
	step, at     string // at: status, contentType, location, or a member of the body
	theirs, ours string
}

const absent = "absent"

// compare lists what is different in our answer.
func compare(theirs, ours answer) (all []difference) {
	add := func(at string, t, o any) {
		if t, o := text(t), text(o); t != o {
			all = append(all, difference{theirs.Step, at, t, o})
		}
	}
	add("status", theirs.Status, ours.Status)
	if theirs.Status != ours.Status && (theirs.Status < 300) != (ours.Status < 300) {
		return all // one of them is a refusal: that is the difference
	}
	add("contentType", theirs.ContentType, ours.ContentType)
	add("location", theirs.Location, ours.Location)
	var walk func(at string, t, o any)
	walk = func(at string, t, o any) {
		switch want := t.(type) {
		case map[string]any:
			got, ok := o.(map[string]any)
			if !ok {
				add(at, t, o)
				return
			}
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if value, there := got[name]; there {
					walk(at+"."+name, want[name], value)
				} else {
					all = append(all, difference{theirs.Step, at + "." + name, text(want[name]), absent})
				}
			}
		case []any:
			got, ok := o.([]any)
			if !ok {
				add(at, t, o)
				return
			}
			for i, one := range want {
				if same := counterpart(one, i, got); same != nil {
					walk(at+"[]", one, same)
				} else {
					all = append(all, difference{theirs.Step, at + "[]", text(one), absent})
				}
			}
		default:
			add(at, t, o)
		}
	}
	walk("body", theirs.Body, ours.Body)
	return all
}

// counterpart is the element of ours that is to be the one at i of theirs: that of the same id,
// for the original has its lists in no order; what has no id, at the same place.
func counterpart(one any, i int, ours []any) any {
	members, _ := one.(map[string]any)
	for _, id := range []string{"serInstanceId", "capabilityId"} {
		if members[id] == nil {
			continue
		}
		for _, o := range ours {
			if m, ok := o.(map[string]any); ok && m[id] == members[id] {
				return o
			}
		}
		return nil
	}
	if i < len(ours) {
		return ours[i]
	}
	return nil
}

func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil { // it was JSON before
		return err.Error()
	}
	return strings.Trim(string(out), `"`)
}

// row is a difference that is meant. step, at, theirs and ours are patterns of path.Match.
type row struct {
	steps        []string
	at           string
	theirs, ours string // "": any
	why          string
}

func (r row) covers(d difference) bool {
	is := func(pattern, s string) bool {
		ok, err := path.Match(pattern, strings.ReplaceAll(s, "/", "|"))
		return err == nil && ok || pattern == ""
	}
	return slices.ContainsFunc(r.steps, func(s string) bool { return is(s, d.step) }) && is(r.at, d.at) && is(strings.ReplaceAll(r.theirs, "/", "|"), d.theirs) && is(strings.ReplaceAll(r.ours, "/", "|"), d.ours)
}

// unexplained are differences that no row covers, and rows that cover none.
func unexplained(found []difference) (problems []string) {
	used := map[int]bool{}
	for _, d := range found {
		i := slices.IndexFunc(table, func(r row) bool { return r.covers(d) })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s: %s is %s at the original and %s here", d.step, d.at, d.theirs, d.ours))
			continue
		}
		used[i] = true
	}
	for i, r := range table {
		if !used[i] {
			problems = append(problems, fmt.Sprintf("the table has a row that is not true any more: %v %s", r.steps, r.at))
		}
	}
	return problems
}

// tableText is the table as the document shows it.
func tableText() string {
	var out strings.Builder
	out.WriteString("\n| asked | where | EdgeGallery | here | why |\n|---|---|---|---|---|\n")
	for _, r := range table {
		steps := shown.Replace(strings.Join(r.steps, "; "))
		if steps == "…" {
			steps = "anything"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", steps, code(r.at), code(r.theirs), code(r.ours), r.why)
	}
	out.WriteString("\n")
	return out.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + shown.Replace(s) + "`"
}

// shown undoes what patterns need.
var shown = strings.NewReplacer("|", "/", "[[]]", "[]", "*", "…")
