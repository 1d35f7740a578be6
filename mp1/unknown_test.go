package mp1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Were a part of a filter ignored, a subscriber that asks for little would be told of
// everything.
func TestWhatNarrowsASubscriptionIsNeverIgnored(t *testing.T) {
	for body, want := range map[string][2]string{ // the attribute, and what its rule says
		subscriptionWith(`{"serName":["n"]}`):                                                     {"filteringCriteria.serName", "it is serNames"},
		subscriptionWith(`{"serInstanceId":["n"]}`):                                               {"filteringCriteria.serInstanceId", "it is serInstanceIds"},
		subscriptionWith(`{"serCategory":[` + category1 + `]}`):                                   {"filteringCriteria.serCategory", "it is serCategories"},
		subscriptionWith(`{"state":["ACTIVE"]}`):                                                  {"filteringCriteria.state", "it is states"},
		subscriptionWith(`{"serNames":["n"],"state":"ACTIVE"}`):                                   {"filteringCriteria.state", "it is states"},
		subscriptionWith(`{"ser_names":["n"]}`):                                                   {"filteringCriteria.ser_names", "it is serNames"},
		subscriptionWith(`{"serviceNames":["n"]}`):                                                {"filteringCriteria.serviceNames", "it is serNames"},
		subscriptionWith(`{"serNamse":["n"]}`):                                                    {"filteringCriteria.serNamse", "it is serNames"},
		subscriptionWith(`{"is_local":true}`):                                                     {"filteringCriteria.is_local", "it is isLocal"},
		subscriptionWith(`{"colour":"red"}`):                                                      {"filteringCriteria.colour", "known are serInstanceIds, serNames, serCategories, states, isLocal"},
		subscriptionWith(`{"colour":null}`):                                                       {"filteringCriteria.colour", "never ignored"},
		subscriptionWith(`{"scopeOfLocality":"ZONE"}`):                                            {"filteringCriteria.scopeOfLocality", "never ignored"},
		subscriptionWith(`{"consumedLocalOnly":true}`):                                            {"filteringCriteria.consumedLocalOnly", "never ignored"},
		subscriptionWith(`{"SERNAMES":["n"]}`):                                                    {"filteringCriteria.serNames", "exactly so"},
		subscriptionWith(`{"serNames":["n"],"serNames":["m"]}`):                                   {"filteringCriteria.serNames", "twice"},
		subscriptionWith(`{"serNames":["n"],"serNames":null}`):                                    {"filteringCriteria.serNames", "twice"},
		subscriptionWith(`{"serNames ":["n"]}`):                                                   {"filteringCriteria", "it is serNames"},
		subscriptionWith(`{"\u202e":["n"]}`):                                                      {"filteringCriteria", "never ignored"},
		subscriptionWith(`{"` + strings.Repeat("a", 65) + `":1}`):                                 {"filteringCriteria", "never ignored"},
		subscriptionWith(`{"":1}`):                                                                {"filteringCriteria", "never ignored"},
		subscriptionWith(`{"serNames":[null]}`):                                                   {"filteringCriteria.serNames", "strings"},
		subscriptionWith(`{"states":[null]}`):                                                     {"filteringCriteria.states", "strings"},
		subscriptionWith(`{"serCategories":[null]}`):                                              {"filteringCriteria.serCategories", "objects"},
		subscriptionWith(`{"states":"ACTIVE"}`):                                                   {"filteringCriteria.states", "array"},
		subscriptionWith(`{"serNames":{}}`):                                                       {"filteringCriteria.serNames", "array"},
		subscriptionWith(`{"serCategories":` + category1 + `}`):                                   {"filteringCriteria.serCategories", "array"},
		subscriptionWith(`"serNames"`):                                                            {"filteringCriteria", "object"},
		categoryWith(`"owner":"me"`):                                                              {"filteringCriteria.serCategories.owner", "known are href, id, name, version"},
		categoryWith(`"ID":"x"`):                                                                  {"filteringCriteria.serCategories.id", "exactly so"},
		categoryWith(`"id":"x"`):                                                                  {"filteringCriteria.serCategories.id", "twice"},
		strings.Replace(categoryWith(`"x":1`), `,"x":1`, ``, 1):                                   {}, // a good one
		strings.Replace(categoryWith(`"x":1`), `"c1"`, `null`, 1):                                 {"filteringCriteria.serCategories.x", "never ignored"},
		strings.Replace(subscriptionWith(`{"serCategories":[`+category1+`]}`), `"c1"`, `null`, 1): {"filteringCriteria.serCategories.id", "mandatory"},
		strings.Replace(subscriptionWith(`{"serCategories":[`+category1+`]}`), `"c1"`, `""`, 1):   {"filteringCriteria.serCategories.id", "empty"},
	} {
		requireRefused(t, body, want)
	}
}

func categoryWith(member string) string {
	return strings.Replace(subscriptionWith(`{"serCategories":[`+category1+`]}`), `"id":"c1"`, `"id":"c1",`+member, 1)
}

func requireRefused(t *testing.T, body string, want [2]string) {
	t.Helper()
	_, err := DecodeSubscription([]byte(body))
	if want == [2]string{} {
		require.NoError(t, err, body)
		return
	}
	var bad *Invalid
	require.ErrorAs(t, err, &bad, body)
	require.Equal(t, want[0], bad.Attribute, body)
	require.Contains(t, bad.Rule, want[1], body)
}

// Beside filteringCriteria, too, only members that narrow nothing are ignored.
func TestACriterionOutOfItsPlaceIsNotIgnored(t *testing.T) {
	beside := func(member string) string {
		return strings.Replace(subscriptionWith(`{}`), `"filteringCriteria":{}`, member, 1)
	}
	for member, want := range map[string][2]string{
		`"filterCriteria":{"serNames":["n"]}`:     {"filterCriteria", "it is filteringCriteria"},
		`"filteringCriterias":{"serNames":["n"]}`: {"filteringCriterias", "it is filteringCriteria"},
		`"filtering_criteria":{"serNames":["n"]}`: {"filtering_criteria", "it is filteringCriteria"},
		`"FilteringCriteria":{"serNames":["n"]}`:  {"filteringCriteria", "exactly so"},
		`"criteria":{"serNames":["n"]}`:           {"criteria", "filteringCriteria"},
		`"filter":"(eq,serName,n)"`:               {"filter", "filteringCriteria"},
		`"filteringCriteria ":{"serNames":["n"]}`: {"", "it is filteringCriteria"},
		`"serNames":["n"]`:                        {"serNames", "only as filteringCriteria.serNames"},
		`"serInstanceId":"n"`:                     {"serInstanceId", "only as filteringCriteria.serInstanceIds"},
		`"states":["ACTIVE"]`:                     {"states", "only as filteringCriteria.states"},
		`"isLocal":true`:                          {"isLocal", "only as filteringCriteria.isLocal"},
		`"filteringCriteria":{},"serNames":["n"]`: {"serNames", "only as filteringCriteria.serNames"},

		`"scopeOfLocality":"ZONE"`:                {"scopeOfLocality", "narrows no subscription"},
		`"consumedLocalOnly":true`:                {"consumedLocalOnly", "narrows no subscription"},
		`"consumed_local_only":true`:              {"consumed_local_only", "narrows no subscription"},
		`"locality":"ZONE"`:                       {"locality", "narrows no subscription"},
		`"query":"ser_name=n"`:                    {"query", "never ignored"},
		`"queryParameters":{}`:                    {"queryParameters", "never ignored"},
		`"where":[1]`:                             {"where", "never ignored"},
		`"changeTypes":["REMOVED"]`:               {"changeTypes", "never ignored"},
		`"serNmaes":["n"]`:                        {"serNmaes", "only as filteringCriteria.serNames"},
		`"staets":["ACTIVE"]`:                     {"staets", "only as filteringCriteria.states"},
		`"names":["n"]`:                           {"names", "only as filteringCriteria.serNames"},
		`"instanceIds":["n"]`:                     {"instanceIds", "only as filteringCriteria.serInstanceIds"},
		`"serNames ":["n"]`:                       {"", "only as filteringCriteria.serNames"},
		`"subscription":{"filteringCriteria":{}}`: {"subscription", "must not hold filteringCriteria"},
		`"serAvailabilityNotificationSubscription":{"_links":{},"filtering_criteria":{}}`: {"serAvailabilityNotificationSubscription", "must not hold filteringCriteria"},
		`"SerAvailabilityNotificationSubscription":{"callbackReference":""}`:              {"SerAvailabilityNotificationSubscription", "must not hold callbackReference"},
		`"vendor":{"x":[[{"serName":"n"}]]}`:                                              {"vendor", "must not hold serNames"},
		`"vendor":[{"scope_of_locality":"ZONE"}]`:                                         {"vendor", "must not hold scope_of_locality"},
		`"subscriptionId":{"filteringCriteria":{}}`:                                       {"subscriptionId", "must not hold"},
		`"vendor":{"x":[1],"_links":{}},"unknown":"x","date":1,"requestTestNotification":false,"websockNotifConfig":{"websocketUri":""}`: {},
		`"subscriptionId":"","appInstanceId":"a"`:   {}, // EdgeGallery's
		`"_links":{"self":{"href":"x"}}`:            {}, // the conformance suite's
		`"expiryDeadline":{"seconds":1},"name":"x"`: {}, // of other APIs
		`"filteringCriteria":null`:                  {},
	} {
		requireRefused(t, beside(member), want)
	}
}

// Descriptions are open to members of later versions and of vendors (MEC 009).
func TestWhatOnlyDescribesMayHaveMoreMembers(t *testing.T) {
	for _, path := range []string{"other", "serName2", "serCategory.owner", "transportInfo.other", "transportInfo.endpoint.other", "transportInfo.security.oAuth2Info.other"} {
		_, err := DecodeServiceInfo(set(path, 1))
		require.NoError(t, err, path)
	}
	_, err := DecodeAppInfo([]byte(`{"appName":"n","other":1,"filter":1}`))
	require.NoError(t, err)
	require.NoError(t, CheckLivenessUpdate([]byte(`{"state":"ACTIVE","states":["ACTIVE"]}`)))
}

func TestWhatNarrowsAListIsNeverIgnored(t *testing.T) {
	known := "only " + strings.Join(queryParameters, ", ") + " may be given"
	for raw, attribute := range map[string]string{
		"instance_id=x": "instance_id", "serInstanceId=x": "serInstanceId", "Ser_name=x": "Ser_name", "ser_names=x": "ser_names", "serName=x": "serName", "name=x": "name", "service_name=x": "service_name",
		"ser_naem=x": "ser_naem", "category=x": "category", "locality=ZONE": "locality", "isLocal=true": "isLocal", "local=true": "local", "ser_category=x": "ser_category",
		"state=ACTIVE": "state", "states=ACTIVE": "states", "ser_name=a&instance_id=b": "instance_id", "ser_name[]=x": "query", "ser_name%20=x": "query", "=x": "query", "x": "query",
		"a=1": "a", "foo=1": "foo", "x=&foo=1&foo=": "foo", "foo_bar-2=%20": "foo_bar-2", "foo": "query", "foo=": "query", "Zm9vYg==": "query", "f%6fo=1": "query", "foo.bar=1": "query",
		"eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl": "query", "filter=x": "filter", "limit=1": "limit", strings.Repeat("ser_name", 9) + "=1": "query",
	} {
		_, err := ParseQuery(raw)
		var bad *Invalid
		require.ErrorAs(t, err, &bad, raw)
		require.Equal(t, attribute, bad.Attribute, raw)
		require.Contains(t, bad.Rule, known, raw)
	}
	for raw, like := range map[string]string{"instance_id=x": "ser_instance_id", "name=x": "ser_name", "local=true": "is_local", "locality=ZONE": "scope_of_locality", "serCategoryId=x": "ser_category_id"} {
		_, err := ParseQuery(raw)
		require.ErrorContains(t, err, "it is "+like+":", raw)
	}
}

func FuzzOtherNames(f *testing.F) {
	for _, s := range []string{"serName", "ser_name[]", "", "filter", "instance_id", "\u202e", strings.Repeat("s", 65), "ies", "services"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		closest(name, queryParameters)
		if s := normalized(name); strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("%q: %q", name, s)
		}
		if isWord(name) && strings.ContainsAny(name, " .:\"<>&%\x00\x7f\n") {
			t.Fatalf("%q would be repeated", name)
		}
	})
}
