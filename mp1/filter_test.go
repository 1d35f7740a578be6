package mp1

import (
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
