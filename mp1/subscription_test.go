package mp1

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const category1 = `{"href":"/c","id":"c1","name":"cat","version":"1"}`

// subscriptionWith is a subscription with the filteringCriteria.
func subscriptionWith(filter string) string {
	return `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://10.0.0.1:8080/cb?a=b","filteringCriteria":` + filter + `}`
}

func TestASubscriptionIsReadWithAllItsCriteria(t *testing.T) {
	no := false
	for filter, want := range map[string]*FilteringCriteria{
		`null`: nil,
		`{}`:   {},
		`{"serInstanceIds":["a","b"],"states":["SUSPENDED"],"isLocal":false}`:     {SerInstanceIDs: []string{"a", "b"}, States: []State{Suspended}, IsLocal: &no},
		`{"serNames":["n"],"serInstanceIds":[],"serCategories":null,"states":[]}`: {SerNames: []string{"n"}},
		`{"serCategories":[` + category1 + `]}`:                                   {SerCategories: []CategoryRef{{"/c", "c1", "cat", "1"}}},
	} {
		s, err := DecodeSubscription([]byte(subscriptionWith(filter)))
		require.NoError(t, err, filter)
		require.Equal(t, want, s.FilteringCriteria, filter)
		require.Equal(t, "http://10.0.0.1:8080/cb?a=b", s.CallbackReference)
	}
	s, err := DecodeSubscription([]byte(`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"https://h","_links":{"self":{"href":"x"}},"subscriptionId":"x"}`))
	require.NoError(t, err, "the conformance suite sends _links")
	require.Equal(t, Subscription{SubscriptionType: SubscriptionType, CallbackReference: "https://h"}, s)
}

func TestASubscriptionThatCannotBeServedIsRefused(t *testing.T) {
	for body, attribute := range map[string]string{
		`{}`: "subscriptionType", `null`: "", `[]`: "",
		`{"subscriptionType":"INVALID_SUBSCRIPTION","callbackReference":"http://h"}`:                                             "subscriptionType",
		`{"subscription":"SerAvailabilityNotificationSubscription","callbackReference":"http://h"}`:                              "subscriptionType",
		`{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://h"}`:                           "subscriptionType",
		`{"subscriptiontype":"SerAvailabilityNotificationSubscription","callbackReference":"http://h"}`:                          "subscriptionType",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription"}`:                                                         "callbackReference",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":null}`:                                "callbackReference",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":""}`:                                  "callbackReference",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":7}`:                                   "callbackReference",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://` + strings.Repeat("h", 2048): "",
		subscriptionWith(`[]`):                                                            "filteringCriteria",
		subscriptionWith(`{"serInstanceIds":"a"}`):                                        "filteringCriteria.serInstanceIds",
		subscriptionWith(`{"serNames":[""]}`):                                             "filteringCriteria.serNames",
		subscriptionWith(`{"serNames":[1]}`):                                              "filteringCriteria.serNames",
		subscriptionWith(`{"SerNames":["a"]}`):                                            "filteringCriteria.serNames",
		subscriptionWith(`{"states":["DEAD"]}`):                                           "filteringCriteria.states",
		subscriptionWith(`{"states":["active"]}`):                                         "filteringCriteria.states",
		subscriptionWith(`{"isLocal":"true"}`):                                            "filteringCriteria.isLocal",
		subscriptionWith(`{"serCategories":["c1"]}`):                                      "filteringCriteria.serCategories",
		subscriptionWith(`{"serCategories":[{"id":"c1"}]}`):                               "filteringCriteria.serCategories.href",
		subscriptionWith(`{"serInstanceIds":["a"],"serNames":["b"]}`):                     "filteringCriteria",
		subscriptionWith(`{"serInstanceIds":["a"],"serCategories":[` + category1 + `]}`):  "filteringCriteria",
		subscriptionWith(`{"serNames":["a"],"serCategories":[` + category1 + `]}`):        "filteringCriteria",
		subscriptionWith(`{"serNames":["` + strings.Repeat(`a","`, maxCriteria) + `a"]}`): "filteringCriteria.serNames",
	} {
		_, err := DecodeSubscription([]byte(body))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.Equal(t, attribute, bad.Attribute, body)
	}
}

// ETSI's data, and the clients in the field, send nothing but these, EdgeGallery's a
// subscriptionId too.
func TestASubscriptionToATerminationIsOfTheApplicationInTheURI(t *testing.T) {
	const asked = `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://10.0.0.1:8080/cb","appInstanceId":"app"`
	want := Subscription{SubscriptionType: TerminationSubscriptionType, CallbackReference: "http://10.0.0.1:8080/cb", AppInstanceID: "app"}
	for _, more := range []string{"", `,"_links":{"self":{"href":"x"}}`, `,"_links":null`, `,"subscriptionId":"x","filters":[1]`} {
		s, err := DecodeTerminationSubscription([]byte(asked+more+"}"), "app")
		require.NoError(t, err, more)
		require.Equal(t, want, s, more)
		require.True(t, s.OfTermination())
	}
	for body, attribute := range map[string]string{
		`{}`: "subscriptionType", `null`: "", `[]`: "", asked: "",
		strings.Replace(asked, `AppT`, `appT`, 1) + "}":                                "subscriptionType",
		strings.Replace(asked, TerminationSubscriptionType, SubscriptionType, 1) + "}": "subscriptionType",
		strings.Replace(asked, `"app"`, `"other"`, 1) + "}":                            "appInstanceId",
		strings.Replace(asked, `"app"`, `"App"`, 1) + "}":                              "appInstanceId",
		strings.Replace(asked, `"app"`, `""`, 1) + "}":                                 "appInstanceId",
		strings.Replace(asked, `"app"`, `null`, 1) + "}":                               "appInstanceId",
		strings.Replace(asked, `"app"`, `["app"]`, 1) + "}":                            "appInstanceId",
		strings.Replace(asked, `,"appInstanceId":"app"`, ``, 1) + "}":                  "appInstanceId",
		strings.Replace(asked, `appInstanceId`, `appInstanceID`, 1) + "}":              "appInstanceId",
		asked + `,"appInstanceId":"app"}`:                                              "appInstanceId",
		strings.Replace(asked, `http://`, `ftp://`, 1) + "}":                           "callbackReference",
		strings.Replace(asked, `http://10.0.0.1:8080/cb`, ``, 1) + "}":                 "callbackReference",
	} {
		_, err := DecodeTerminationSubscription([]byte(body), "app")
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.Equal(t, attribute, bad.Attribute, body)
	}
}

func TestWhichCallbacksCanBeCalled(t *testing.T) {
	for _, uri := range []string{"http://h", "https://h:8443/a/b?c=d", "HTTP://H/", "http://[::1]:1", "http://10.0.0.1", "http://h:65535", "http://a_b.example", "http://h/%20"} {
		require.NoError(t, CheckCallback(uri), uri)
	}
	for _, uri := range []string{"", "h", "/cb", "//h/cb", "ftp://h", "mailto:a@b", "http:h", "http:/h", "http://", "http://:80", "http://h:", "http://h:0", "http://h:65536",
		"http://h:a", "http://u@h", "http://u:p@h", "http://@h", "http://h#f", "http://h#", "http://h /", "http://h\\@x/", "http://[::1", "http://%zz/", "file:///etc/passwd"} {
		require.Error(t, CheckCallback(uri), uri)
	}
}

func TestAllCriteriaMustMatch(t *testing.T) {
	no, yes := false, true
	info := ServiceInfo{SerInstanceID: "i", SerName: "n", SerCategory: &CategoryRef{ID: "c"}, State: Suspended}
	for _, c := range []struct {
		f    *FilteringCriteria
		want bool
	}{
		{nil, true}, {&FilteringCriteria{}, true},
		{&FilteringCriteria{SerInstanceIDs: []string{"x", "i"}}, true}, {&FilteringCriteria{SerInstanceIDs: []string{"x"}}, false},
		{&FilteringCriteria{SerNames: []string{"x", "n"}}, true}, {&FilteringCriteria{SerNames: []string{"N"}}, false},
		{&FilteringCriteria{SerCategories: []CategoryRef{{ID: "x"}, {ID: "c", Name: "another"}}}, true}, {&FilteringCriteria{SerCategories: []CategoryRef{{ID: "x"}}}, false},
		{&FilteringCriteria{States: []State{Active, Suspended}}, true}, {&FilteringCriteria{States: []State{Active}}, false},
		{&FilteringCriteria{IsLocal: &yes}, true}, {&FilteringCriteria{IsLocal: &no}, false},
		{&FilteringCriteria{SerNames: []string{"n"}, States: []State{Active}}, false}, {&FilteringCriteria{SerNames: []string{"n"}, States: []State{Suspended}, IsLocal: &yes}, true},
	} {
		require.Equal(t, c.want, c.f.Match(&info), "%+v", c.f)
	}
	info.IsLocal, info.SerCategory = &no, nil
	require.True(t, (&FilteringCriteria{IsLocal: &no}).Match(&info))
	require.False(t, (&FilteringCriteria{SerCategories: []CategoryRef{{ID: "c"}}}).Match(&info))
}

func FuzzDecodeSubscription(f *testing.F) {
	for _, filter := range []string{`null`, `{}`, `{"serNames":["n"],"states":["ACTIVE"]}`, `{"serInstanceIds":["a"],"serNames":["b"]}`, `{"serCategories":[` + category1 + `]}`, `{"isLocal":false}`,
		`{"serName":["n"]}`, `{"serNames ":["n"]}`, `{"\u202e":1}`, `{"serCategories":[{"href":"/c","id":"c1","name":"cat","version":"1","x":null}]}`} {
		f.Add([]byte(subscriptionWith(filter)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSubscription(data)
		var bad *Invalid
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeSubscription(b)
		var stored Subscription
		if err != nil || json.Unmarshal(b, &stored) != nil || !reflect.DeepEqual(s, again) || !reflect.DeepEqual(s, stored) {
			t.Fatalf("%q was accepted and means another thing after it was written: %q %v", data, b, err)
		}
		s.FilteringCriteria.Match(&ServiceInfo{SerName: fmt.Sprint(len(data))})
	})
}
