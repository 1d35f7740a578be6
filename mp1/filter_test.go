package mp1

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueries(t *testing.T) {
	yes := true
	for raw, want := range map[string]Filter{
		"":                           {},
		"ser_name=a&ser_name=b":      {SerNames: []string{"a", "b"}},
		"ser_instance_id=x":          {SerInstanceIDs: []string{"x"}},
		"ser_category_id=c":          {SerCategoryID: "c"},
		"scope_of_locality=ZONE":     {ScopeOfLocality: "ZONE"},
		"is_local=true&ser_name=%20": {SerNames: []string{" "}, IsLocal: &yes},
		"consumed_local_only=true":   {ConsumedLocalOnly: &yes},
	} {
		f, err := ParseQuery(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, f, raw)
	}
	for _, bad := range []string{"instance_id=5", "ser_name=a&ser_instance_id=b", "ser_name=a&ser_category_id=b", "ser_instance_id=a&ser_category_id=b",
		"is_local=1", "is_local=TRUE", "is_local=", "is_local=true&is_local=true", "ser_category_id=a&ser_category_id=b", "scope_of_locality=zone", "scope_of_locality=ZONE&scope_of_locality=ZONE", "ser_name=", "x=%zz", "a;b=1", "Ser_name=a"} {
		_, err := ParseQuery(bad)
		var invalid *Invalid
		require.ErrorAs(t, err, &invalid, bad)
	}
	for _, raw := range []string{"CANARY", "CANARY=", "CANARY==", "CANARY.x=1", "ser_name=a&CANARY=", "ser_name=CANARY%zz", "x=1&CANARY", "is_local=CANARY", "scope_of_locality=CANARY", "%CANARY"} {
		_, err := ParseQuery(raw)
		require.Error(t, err, raw)
		require.NotContains(t, err.Error(), "CANARY", raw)
	}
}

func TestAFilterMatchesWhatAbsenceMeans(t *testing.T) {
	yes, no := true, false
	plain := &ServiceInfo{SerInstanceID: "i", SerName: "n"}
	other := &ServiceInfo{SerInstanceID: "j", SerName: "m", SerCategory: &CategoryRef{ID: "c"}, ScopeOfLocality: "ZONE", ConsumedLocalOnly: &no, IsLocal: &no}
	for _, c := range []struct {
		f            Filter
		plain, other bool
	}{
		{Filter{}, true, true},
		{Filter{SerNames: []string{"n", "x"}}, true, false},
		{Filter{SerInstanceIDs: []string{"j"}}, false, true},
		{Filter{SerCategoryID: "c"}, false, true},
		{Filter{ScopeOfLocality: "MEC_HOST"}, true, false},
		{Filter{ScopeOfLocality: "ZONE"}, false, true},
		{Filter{IsLocal: &yes}, true, false},
		{Filter{IsLocal: &no}, false, true},
		{Filter{ConsumedLocalOnly: &yes}, true, false},
		{Filter{ConsumedLocalOnly: &no, SerNames: []string{"n"}}, false, false},
	} {
		require.Equal(t, c.plain, c.f.Match(plain), c.f)
		require.Equal(t, c.other, c.f.Match(other), c.f)
	}
}

// Were a field missing from Query, the client would ask for more than the filter selects,
// and a server that keeps lists by their query would answer with another filter's list.
func TestEveryFieldOfAFilterIsReadWrittenAndMatched(t *testing.T) {
	yes, no := true, false
	candidates := map[reflect.Type][]any{
		reflect.TypeFor[[]string](): {[]string{"x"}, []string{"x", "y&z"}},
		reflect.TypeFor[string]():   {"x", "y"},
		reflect.TypeFor[Locality](): {Locality("ZONE"), Locality("NFVI_NODE")},
		reflect.TypeFor[*bool]():    {&yes, &no},
	}
	var empty Filter
	require.Empty(t, empty.Query())
	var names []string
	for field := range reflect.TypeFor[Filter]().Fields() {
		values := candidates[field.Type]
		require.NotEmpty(t, values, "this test has no values of the type of Filter.%s; name two", field.Name)
		queries, name, rejected := map[string]bool{}, "", false
		for _, v := range values {
			var f Filter
			reflect.ValueOf(&f).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(v))
			raw := f.Query()
			require.NotEmpty(t, raw, "Query (mp1/filter.go) does not write Filter.%s", field.Name)
			require.False(t, queries[raw], "Query (mp1/filter.go) writes two values of Filter.%s as %s", field.Name, raw)
			queries[raw] = true
			q, err := url.ParseQuery(raw)
			require.NoError(t, err)
			require.Len(t, q, 1, raw)
			for name = range q {
			}
			back, err := ParseQuery(raw)
			require.NoError(t, err, "queryParameters (mp1/filter.go) must have %s", name)
			require.Equal(t, f, back, "setParameter (mp1/filter.go) must set Filter.%s of %s", field.Name, name)
			rejected = rejected || !f.Match(&ServiceInfo{})
		}
		require.True(t, rejected, "Match (mp1/filter.go) does not look at Filter.%s", field.Name)
		names = append(names, name)
	}
	require.ElementsMatch(t, queryParameters, names, "each parameter is one field of Filter")
}
