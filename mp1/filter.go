package mp1

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Filter selects services by the query parameters of §8.2.3.3.1. Several values of one
// parameter are alternatives; different parameters must all match. The zero Filter selects
// every service. At most one of SerInstanceIDs, SerNames and SerCategoryID may be set: the
// platform refuses a query of two of them with 400.
type Filter struct {
	SerInstanceIDs    []string // ser_instance_id: any of these
	SerNames          []string // ser_name: any of these
	SerCategoryID     string   // ser_category_id: the id of the category
	ScopeOfLocality   Locality // scope_of_locality; a service without one has DefaultLocality
	ConsumedLocalOnly *bool    // consumed_local_only; a service without one has true
	IsLocal           *bool    // is_local; a service without one has true
}

var queryParameters = []string{"ser_instance_id", "ser_name", "ser_category_id", "scope_of_locality", "consumed_local_only", "is_local"}

// QueryParameters returns the names of the query parameters that [ParseQuery] reads.
func QueryParameters() []string { return slices.Clone(queryParameters) }

// ParseQuery reads the query of a list of services. Unknown parameters are refused. Its
// errors are *Invalid.
func ParseQuery(raw string) (f Filter, err error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return f, unreadableQuery(raw)
	}
	exclusive := 0
	for _, name := range slices.Sorted(maps.Keys(q)) { // sorted, so that of several faults always the same is named
		if !slices.Contains(queryParameters, name) {
			return Filter{}, unknownParameter(name, raw)
		}
		if err := setParameter(&f, name, q[name]); err != nil {
			return Filter{}, err
		}
		if name == "ser_instance_id" || name == "ser_name" || name == "ser_category_id" {
			exclusive++
		}
	}
	if exclusive > 1 {
		return Filter{}, &Invalid{"query", "only one of ser_instance_id, ser_name and ser_category_id may be given"}
	}
	return f, nil
}

// setParameter sets what one parameter selects.
func setParameter(f *Filter, name string, values []string) error {
	if slices.Contains(values, "") {
		return &Invalid{name, "must not be empty"}
	}
	switch name {
	case "ser_instance_id":
		f.SerInstanceIDs = values
		return nil
	case "ser_name":
		f.SerNames = values
		return nil
	}
	if len(values) > 1 {
		return &Invalid{name, "must be given once"}
	}
	switch v := values[0]; name {
	case "ser_category_id":
		f.SerCategoryID = v
	case "scope_of_locality":
		if !Locality(v).Valid() {
			return &Invalid{name, "must be one of " + strings.Join(localities, ", ")}
		}
		f.ScopeOfLocality = Locality(v)
	default:
		if v != "true" && v != "false" {
			return &Invalid{name, "must be true or false"}
		}
		b := v == "true"
		if name == "is_local" {
			f.IsLocal = &b
		} else {
			f.ConsumedLocalOnly = &b
		}
	}
	return nil
}

// unknownParameter refuses a parameter that MEC 011 does not have.
func unknownParameter(name, raw string) error {
	rule := "only " + strings.Join(queryParameters, ", ") + " may be given"
	if like := closest(name, queryParameters); like != "" && isWord(name) {
		return &Invalid{name, "is not known here, and what narrows a question is never ignored; in MEC 011 v3.1.1 it is " + like + ": " + rule}
	}
	if sameName(name, criteriaMembers) != "" && isWord(name) {
		return &Invalid{name, "narrows a subscription only: " + rule}
	}
	if mayRepeat(raw, name) {
		return &Invalid{name, "is not known here, and what narrows a question is never ignored: " + rule}
	}
	return &Invalid{"query", rule}
}

// ParseParameters reads a query whose parameters have these names, and are given once each, with a
// value. Its errors are *Invalid.
func ParseParameters(raw string, names ...string) (map[string]string, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, unreadableQuery(raw)
	}
	out := make(map[string]string, len(q))
	for _, name := range slices.Sorted(maps.Keys(q)) { // sorted, so that of several faults always the same is named
		switch values := q[name]; {
		case !slices.Contains(names, name):
			return nil, unknownAmong(name, raw, names)
		case len(values) > 1:
			return nil, &Invalid{name, "must be given once"}
		case values[0] == "":
			return nil, &Invalid{name, "must not be empty"}
		default:
			out[name] = values[0]
		}
	}
	return out, nil
}

// unknownAmong refuses a parameter that is none of the names.
func unknownAmong(name, raw string, names []string) error {
	rule := "only " + strings.Join(names, ", ") + " may be given"
	like := closest(name, names)
	switch {
	case like != "" && isWord(name):
		return &Invalid{name, "is not known here, and what narrows a question is never ignored; perhaps it is " + like + ": " + rule}
	case mayRepeat(raw, name):
		return &Invalid{name, "is not known here, and what narrows a question is never ignored: " + rule}
	}
	return &Invalid{"query", rule}
}

// NoParameters returns an *Invalid if the query of a resource that takes no parameters is
// not empty.
func NoParameters(raw string) error {
	if raw == "" {
		return nil
	}
	for part := range strings.SplitSeq(raw, "&") {
		if name, _, _ := strings.Cut(part, "="); mayRepeat(raw, name) {
			return &Invalid{name, "this resource takes no query parameters; remove it"}
		}
	}
	return &Invalid{"query", "this resource takes no query parameters; remove them"}
}

// mayRepeat reports whether an error may repeat a name in a query: it is one word, and a
// value follows it. Without a value, the whole could be a secret that was pasted there,
// such as a token whose last = is its padding.
func mayRepeat(raw, name string) bool {
	if !isWord(name) {
		return false
	}
	for part := range strings.SplitSeq(raw, "&") {
		if value, ok := strings.CutPrefix(part, name+"="); ok && strings.Trim(value, "=") != "" {
			return true
		}
	}
	return false
}

// unreadableQuery is the fault of a query that is not one. It names the first parameter
// that cannot be read, if an error may repeat it.
func unreadableQuery(raw string) error {
	for part := range strings.SplitSeq(raw, "&") {
		if _, err := url.ParseQuery(part); err == nil {
			continue
		}
		if name, _, _ := strings.Cut(part, "="); mayRepeat(part, name) {
			return &Invalid{name, "cannot be read; encode its value"}
		}
		break
	}
	return &Invalid{"query", "cannot be read; encode its values"}
}

// Query returns the filter as a query, which ParseQuery reads.
func (f *Filter) Query() string {
	q := url.Values{"ser_instance_id": f.SerInstanceIDs, "ser_name": f.SerNames}
	if f.SerCategoryID != "" {
		q.Set("ser_category_id", f.SerCategoryID)
	}
	if f.ScopeOfLocality != "" {
		q.Set("scope_of_locality", string(f.ScopeOfLocality))
	}
	if f.ConsumedLocalOnly != nil {
		q.Set("consumed_local_only", strconv.FormatBool(*f.ConsumedLocalOnly))
	}
	if f.IsLocal != nil {
		q.Set("is_local", strconv.FormatBool(*f.IsLocal))
	}
	return q.Encode()
}

// Match reports whether the filter selects the service.
func (f *Filter) Match(i *ServiceInfo) bool {
	is := func(want, b *bool) bool { return want == nil || *want == (b == nil || *b) }
	return (len(f.SerInstanceIDs) == 0 || slices.Contains(f.SerInstanceIDs, i.SerInstanceID)) &&
		(len(f.SerNames) == 0 || slices.Contains(f.SerNames, i.SerName)) &&
		(f.SerCategoryID == "" || i.SerCategory != nil && i.SerCategory.ID == f.SerCategoryID) &&
		(f.ScopeOfLocality == "" || i.Scope() == f.ScopeOfLocality) &&
		is(f.ConsumedLocalOnly, i.ConsumedLocalOnly) && is(f.IsLocal, i.IsLocal)
}
