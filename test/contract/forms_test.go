package contract

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/test/mep"
)

// What docs/requests.md says, asked of the running program.

const (
	plainTransport = `"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"uris":["http://10.0.0.1"]}}`
	plainService   = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":60,` + plainTransport + `}`
)

var services = mep.ServicesOf("forms")

// refusedWith sends what must be a 400 that says so, and checks that nothing was stored.
func refusedWith(t *testing.T, s *mep.Server, list, method, path, body, detail string) {
	t.Helper()
	before := s.Do("GET", list, "").Body
	res := s.Do(method, path, body)
	require.Equal(t, 400, res.Status, "%s %s %s: %s", method, path, body, res.Body)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	var p mp1.ProblemDetails
	require.NoError(t, json.Unmarshal(res.Body, &p))
	require.Contains(t, p.Detail, detail, "%s %s %s", method, path, body)
	require.Equal(t, string(before), string(s.Do("GET", list, "").Body), "nothing is stored")
}

func TestEveryFormOfAServiceIsDecidedOnce(t *testing.T) {
	s := mep.Start(t)
	first := s.Do("POST", services, plainService)
	require.Equal(t, 201, first.Status)
	one := first.Header.Get("Location")
	want := func(text string) map[string]any { // without what each registration has of its own
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		delete(m, "serInstanceId")
		delete(m, "_links")
		return m
	}
	plain := want(string(first.Body))
	require.Equal(t, map[string]any{}, plain["transportInfo"].(map[string]any)["security"], "mandatory in an answer")
	require.Equal(t, true, plain["isLocal"])
	with := func(old, now string) string { return strings.Replace(plainService, old, now, 1) }
	for _, body := range []string{
		with(`:60,`, `:60.0,`), with(`:60,`, `:6e1,`), with(`:60,`, `:0.6E+2,`), with(`:60,`, `:600e-1,`),
		with(`{"serName"`, `{"isLocal":false,"serName"`), with(`{"serName"`, `{"isLocal":null,"scopeOfLocality":"","transportId":"","serName"`),
		with(`{"serName"`, `{"serInstanceId":"x","_links":{"self":{"liveness":""}},"serName"`), with(`{"serName"`, `{"vendor":{"a":1},"serName"`),
		with(`{"serName"`, `{"serCategory":{"href":"","id":"","name":"","version":""},"serName"`),
		with(`{"uris"`, `{"addresses":null,"alternative":null,"fqdn":[],"uris"`),
		with(`}}}`, `},"security":null}}`), with(`}}}`, `},"security":{}}}`), with(`}}}`, `},"security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}}}}`),
		with(`}}}`, `},"security":{"oAuth2Info":{"grantTypes":[""]}}}}`),
	} {
		res := s.Do("POST", services, body)
		require.Equal(t, 201, res.Status, "%s: %s", body, res.Body)
		require.Equal(t, plain, want(string(res.Body)), body)
		require.Equal(t, 204, s.Do("DELETE", res.Header.Get("Location"), "").Status)
		res = s.Do("PUT", one, body)
		require.Equal(t, 200, res.Status, "%s: %s", body, res.Body)
		require.Equal(t, plain, want(string(res.Body)), body)
	}
	for _, none := range []string{`"transportInfo":null`, `"transportInfo":{}`, `"transportInfo":{"id":"","name":"","type":"","endpoint":{"uris":null},"security":{"oAuth2Info":{"grantTypes":null}},"implSpecificInfo":{}}`} {
		res := s.Do("PUT", one, with(plainTransport, none))
		require.Equal(t, 200, res.Status, none)
		require.Equal(t, plain, want(string(res.Body)), "%s: the stored one is kept", none)
		refusedWith(t, s, services, "POST", services, with(plainTransport, none), "transportInfo")
	}
	for body, detail := range map[string]string{
		with(`:60,`, `:60.5,`): "livenessInterval: ", with(`:60,`, `:-1,`): "livenessInterval: ", with(`:60,`, `:"60",`): "livenessInterval: ", with(`:60,`, `:1e-400,`): "livenessInterval: ",
		with(`{"uris":["http://10.0.0.1"]}`, `{"addresses":[{"host":"h","port":65536.0}]}`): "transportInfo.endpoint.addresses.port: ",
		with(`{"uris":["http://10.0.0.1"]}`, `{"addresses":[{"host":"h","port":1e400}]}`):   "transportInfo.endpoint.addresses.port: ",
		with(`{"serName"`, `{"isLocal":"false","serName"`):                                  "isLocal: ", with(`}}}`, `},"security":[]}}`): "transportInfo.security: ",
		with(`{"serName"`, `{"serCategory":{"id":"x"},"serName"`): "serCategory.href: ", with(`"type":"REST_HTTP"`, `"type":null`): "transportInfo.type: ",
	} {
		refusedWith(t, s, services, "POST", services, body, detail)
		refusedWith(t, s, services, "PUT", one, body, detail)
	}
	res := s.Do("POST", services, with(`{"uris":["http://10.0.0.1"]}`, `{"addresses":[{"host":"h","port":8080.0}]}`))
	require.Contains(t, string(res.Body), `"port":8080}`)
	for proposal, interval := range map[string]string{"1e400": "300", "1e18": "300", "-0.0": "30", "0e9": "30", "1.0": "5"} {
		res := s.Do("PUT", one, with(`:60,`, `:`+proposal+`,`))
		require.Contains(t, string(res.Body), `"livenessInterval":`+interval+`,`, proposal)
	}
}

func TestWhatNarrowsAQuestionIsNeverIgnored(t *testing.T) {
	s := mep.Start(t)
	one := s.Do("POST", services, strings.Replace(plainService, `{"serName"`, `{"isLocal":false,"serName"`, 1)).Header.Get("Location")
	id := one[strings.LastIndexByte(one, '/')+1:]
	all := mep.SubscriptionsOf("forms")
	asks := func(filter string) string {
		return `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:9/",` + filter + `}`
	}
	for filter, detail := range map[string]string{
		`"filteringCriteria":{"serName":["n"]}`: "filteringCriteria.serName: ", `"filteringCriteria":{"serInstanceId":["n"]}`: "serInstanceIds", `"filteringCriteria":{"state":["ACTIVE"]}`: "states",
		`"filteringCriteria":{"serNames":["n"],"colour":1}`: "filteringCriteria.colour: ", `"filteringCriteria":{"colour":null}`: "filteringCriteria.colour: ",
		`"filteringCriteria":{"SerNames":["n"]}`: "filteringCriteria.serNames: ", `"filteringCriteria":{"serNames":["n"],"serNames":["m"]}`: "filteringCriteria.serNames: stands twice",
		`"filteringCriteria":{"serCategories":[{"href":"h","id":"c","name":"n","version":"1","kind":"x"}]}`: "filteringCriteria.serCategories.kind: ",
		`"filteringCriteria":{"serCategories":[null]}`:                                                      "filteringCriteria.serCategories: ", `"filteringCriteria":{"serNames":[null]}`: "filteringCriteria.serNames: ",
		`"filteringCriteria":[]`: "filteringCriteria: ", `"filterCriteria":{"serNames":["n"]}`: "filterCriteria: ", `"serNames":["n"]`: "serNames: ",
		`"scopeOfLocality":"ZONE"`: "scopeOfLocality: ", `"consumedLocalOnly":true`: "consumedLocalOnly: ", `"query":"ser_name=n"`: "query: ", `"serNmaes":["n"]`: "serNmaes: ",
		`"subscription":{"filteringCriteria":{"serNames":["n"]}}`: "subscription: ", `"serAvailabilityNotificationSubscription":{"filteringCriteria":{}}`: "serAvailabilityNotificationSubscription: ",
	} {
		refusedWith(t, s, all, "POST", all, asks(filter), detail)
	}
	for _, filter := range []string{`"filteringCriteria":null`, `"filteringCriteria":{}`, `"filteringCriteria":{"serNames":["n"],"states":null,"serInstanceIds":[]}`, `"subscriptionId":""`, `"expiryDeadline":{}`, `"vendor":{"a":1}`} {
		res := s.Do("POST", all, asks(filter))
		require.Equal(t, 201, res.Status, "%s: %s", filter, res.Body)
	}
	for _, takesNone := range []string{one, all, mp1.Base + "/transports", mp1.Base + "/services/" + id} {
		refusedWith(t, s, all, "GET", takesNone+"?colour=x", "", "colour: ")
		refusedWith(t, s, all, "GET", takesNone+"?eyJhbGciOiJIUzI1NiJ9", "", "query: ")
	}
	refusedWith(t, s, services, "POST", services, strings.Replace(plainService, `{"serName"`, `{"state":"ACTIVE","serName"`, 1), "state: stands twice")
	for _, list := range []string{mp1.Base + "/services", services} {
		for query, detail := range map[string]string{"instance_id=x": "ser_instance_id", "serName=x": "serName: ", "Ser_name=x": "Ser_name: ", "state=ACTIVE": "state: ", "ser_name%5B%5D=x": "ser_name", "colour=x": "colour: ", "colour": "only ser_instance_id", "x": "query"} {
			refusedWith(t, s, all, "GET", list+"?"+query, "", detail)
		}
		require.Contains(t, string(s.Do("GET", list+"?is_local=true", "").Body), id)
		require.Equal(t, "[]\n", string(s.Do("GET", list+"?is_local=false", "").Body))
	}
}

// 429 stands, with Retry-After, exactly where limits apply.
func TestATooManyIsDescribedWhereLimitsApply(t *testing.T) {
	j := newChecker(t)
	require.Len(t, j.limited(), 16, "registering and changing services, applications and rules, what they confirm, subscribing, and lists")
	info := j.doc.Info.Description
	for _, told := range []string{"429 with Retry-After", "417", "one exception: what narrows a question is never ignored", "serNames: []"} {
		require.Contains(t, info, told)
	}
}

// limited asks everything of a surface in which nothing may be written or listed any more.
func (j *checker) limited() (refused []string) {
	j.t.Helper()
	m := http.NewServeMux()
	o := everything(nothing{})
	o.Limits = nothingLeft{}
	for _, r := range server.Routes(nothing{}, o) {
		m.Handle(r.Pattern, r.Handler)
	}
	for pattern, o := range operations(j.doc) {
		method, path, _ := strings.Cut(pattern, " ")
		if slices.Contains(others, pattern) {
			continue
		}
		if method == "DELETE" {
			require.Nil(j.t, o.Responses.Value("429"), pattern)
			continue
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(method, filled.Replace(path), strings.NewReader(bodies(pattern))))
		require.Equal(j.t, w.Code == http.StatusTooManyRequests, o.Responses.Value("429") != nil, "%s: %d", pattern, w.Code)
		if w.Code != http.StatusTooManyRequests {
			continue
		}
		require.Equal(j.t, "1", w.Header().Get("Retry-After"), pattern)
		j.check(method, filled.Replace(path), "", http.Header{}, false, mep.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
		refused = append(refused, pattern)
	}
	return refused
}

// RFC 9110 §10.1.1, whatever the resource is; net/http says so before any of ours is asked.
func TestAnotherExpectationFails(t *testing.T) {
	s := mep.Start(t)
	for method, path := range map[string]string{"POST": services, "GET": mp1.Base + "/services", "DELETE": services + "/x"} {
		require.Equal(t, 417, s.Do(method, path, "", "Expect", "200-ok").Status, path)
	}
	require.Equal(t, 201, s.Do("POST", services, plainService, "Expect", "100-continue").Status)
}
