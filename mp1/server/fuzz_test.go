package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/mec-liveness/mepserver/mp1"
)

// newFuzzServer has all routes, over fakes that accept everything.
func newFuzzServer() http.Handler {
	m := http.NewServeMux()
	for _, r := range Routes(newFakeRegistry(), Options{Rules: newFakeRules(), Subscriptions: &fakeSubscriptions{}, TerminationSubscriptions: &fakeSubscriptions{}, Registrations: statelessRegistrations{&fakeRegistrations{apps: map[string]mp1.AppInfo{"app": {AppName: "n", AppInstanceID: "app"}}}}}) {
		m.Handle(r.Pattern, r.Handler)
	}
	return m
}

// statelessRegistrations accepts everything and stores nothing.
type statelessRegistrations struct{ *fakeRegistrations }

func (f statelessRegistrations) RegisterApplication(_ context.Context, i mp1.AppInfo) (mp1.AppInfo, error) {
	return i, nil
}
func (f statelessRegistrations) UpdateApplication(context.Context, string, mp1.AppInfo, func(mp1.AppInfo) bool) error {
	return nil
}
func (f statelessRegistrations) ConfirmReady(context.Context, string) error { return nil }
func (f statelessRegistrations) BeginTermination(context.Context, string, uint32, func(mp1.AppInfo) bool) error {
	return nil
}
func (f statelessRegistrations) ConfirmTermination(context.Context, string, mp1.OperationAction) error {
	return nil
}
func (f statelessRegistrations) DeregisterApplication(context.Context, string, func(mp1.AppInfo) bool) error {
	return nil
}

// refusalForm is how a refusal names what was wrong: an attribute, or the whole, and its
// rule.
var refusalForm = regexp.MustCompile(`^([A-Za-z0-9_.-]+: |the body |the query |a member |The body |This resource )[a-zA-Z]`)

// checkAnswer fails on answers that no request may cause: a 5xx, or a refusal that is not a
// ProblemDetails, does not say what was wrong, or repeats what was sent.
func checkAnswer(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= 500 || w.Code < 200 {
		t.Fatalf("%q: %d %s", what, w.Code, w.Body)
	}
	if w.Code < 400 {
		return
	}
	var p mp1.ProblemDetails
	if w.Header().Get("Content-Type") != "application/problem+json" || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != w.Code || p.Detail == "" {
		t.Fatalf("%q: %d is no ProblemDetails: %s", what, w.Code, w.Body)
	}
	if strings.ContainsFunc(p.Detail, func(r rune) bool { return r > unicode.MaxASCII || r < ' ' }) {
		t.Fatalf("%q: the refusal repeats it: %q", what, p.Detail)
	}
	if w.Code == 400 && !refusalForm.MatchString(p.Detail) {
		t.Fatalf("%q: what is the rule in %q?", what, p.Detail)
	}
}

// beatSeeds and the other seeds are inputs that have broken other servers of this kind.
var beatSeeds = []string{`{"state":"ACTIVE"}`, `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`, `{}`, `null`, `[]`, `[{"state":"ACTIVE"}]`, `{"State":"ACTIVE"}`, `{"state":"ACTIVE","state":"ACTIVE"}`,
	`{"state":"ACTIVE"}{}`, `{"state":"SUSPENDED"}`, `{"state":"INACTIVE"}`, `{"state":1}`, `{"state":1e309}`, "\ufeff" + `{"state":"ACTIVE"}`, `{"state":"\ud800"}`, "{\"state\":\"\xff\"}",
	strings.Repeat("[", 1000), strings.Repeat(`{"a":`, 1000), `{"state":"` + strings.Repeat("A", 70000) + `"}`, "\x1f\x8b\x08\x00", `{"state":"ACTIVE","x":"%!s(MISSING)\u202e"}`, ``, ` `, `{`}

func fuzzBodies(f *testing.F, method, path string, seeds ...string) {
	f.Helper()
	for _, s := range append(slices.Clone(beatSeeds), seeds...) {
		f.Add([]byte(s))
	}
	h := newFuzzServer()
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, bytes.NewReader(body)))
		checkAnswer(t, string(body), w)
		if w.Code < 300 && !json.Valid(body) {
			t.Fatalf("%q was accepted", body)
		}
	})
}

func FuzzBeat(f *testing.F) { fuzzBodies(f, "PATCH", servicePath+"/liveness") }

func FuzzRegister(f *testing.F) {
	fuzzBodies(f, "POST", mp1.Base+"/applications/app/services", registration, strings.Replace(registration, `:0}`, `:-1}`, 1), strings.Replace(registration, `:0}`, `:1e9}`, 1),
		`{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t","name":"n","type":"RPC","protocol":"p","version":"1","endpoint":{"addresses":[{"host":"h","port":65536}]},"security":{"x":1e999}}}`)
}

func FuzzUpdate(f *testing.F) { fuzzBodies(f, "PUT", servicePath, registration) }

func FuzzRegisterApplication(f *testing.F) {
	fuzzBodies(f, "POST", mp1.AppSupportBase+"/registrations", `{"appName":"n","appInstanceId":"../../x"}`, `{"appName":"n","endpoint":{"fqdn":[]},"appServiceRequired":[{"serName":"s","version":"1"}]}`)
}

func FuzzUpdateDNSRule(f *testing.F) {
	fuzzBodies(f, "PUT", mp1.AppSupportBase+"/applications/app/dns_rules/d", `{"state":"ACTIVE"}`, `{"DnsRule":{"ipAddressType":"IPv6","ipAddress":"::1","ttl":2147483648}}`, `{"ipAddress":"1.2.3.4\n5.6.7.8 x"}`)
}

func FuzzUpdateTrafficRule(f *testing.F) {
	fuzzBodies(f, "PUT", mp1.AppSupportBase+"/applications/app/traffic_rules/t", `{"state":"ACTIVE"}`, `{"priority":255,"trafficFilter":[{"srcPort":[1e9],"srcAddress":["::/0-::/1"],"token":["\u202e"]}]}`,
		`{"action":"DUPLICATE_AS_IS","dstInterface":[{"interfaceType":"TUNNEL","tunnelInfo":{"tunnelType":"GRE"}},{"interfaceType":"IP"}]}`)
}

func FuzzConfirmReady(f *testing.F) {
	fuzzBodies(f, "POST", mp1.AppSupportBase+"/applications/app/confirm_ready", `{"indication":"READY"}`, `{"AppReadyConfirmation":{"indication":"READY"}}`,
		`{"AppReadyConfirmation":{"indication":"READY"},"indication":"READY"}`, `{"indication":"ready"}`, `{"Indication":"READY"}`, `{"AppReadyConfirmation":[]}`)
}

func FuzzConfirmTermination(f *testing.F) {
	fuzzBodies(f, "POST", mp1.AppSupportBase+"/applications/app/confirm_termination", `{"operationAction":"TERMINATING"}`, `{"operationAction":"STOPPING"}`, `{"operationAction":"STOPPPING"}`,
		`{"AppTerminationConfirmation":{"operationAction":"TERMINATING"}}`, `{"AppTerminationConfirmation":{"operationAction":"TERMINATING"},"operationAction":"STOPPING"}`)
}

// callbackSeeds are URIs that name another host than they seem to.
var callbackSeeds = []string{"http://127.0.0.1:9/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0x7f.1/", "http://2130706433/", "http://user@h/", "http://h\\@x/", "http://h\t/", "http://h:0/",
	"http://h:99999/", "unix:///x", "gopher://h", "file:///etc/passwd", "http:h", "//h/", "http://h#f", "http://H%2e/", "http://[fe80::1%25eth0]/", "http://" + strings.Repeat("a", 3000), "http://\u202e/", "http://h\r\nX: y/"}

func FuzzSubscribe(f *testing.F) {
	var seeds []string
	for _, c := range callbackSeeds {
		b, err := json.Marshal(map[string]any{"subscriptionType": mp1.SubscriptionType, "callbackReference": c})
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(b))
	}
	for _, c := range []string{`{}`, `{"serNames":["a"],"serInstanceIds":["b"]}`, `{"states":["GONE"]}`, `{"isLocal":"x"}`, `{"serCategories":[{}]}`, `{"serNames":[1]}`, `[]`} {
		seeds = append(seeds, `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://h/","filteringCriteria":`+c+`}`)
	}
	fuzzBodies(f, "POST", mp1.Base+"/applications/app/subscriptions", seeds...)
}

func FuzzSubscribeToTermination(f *testing.F) {
	var seeds []string
	for _, c := range callbackSeeds {
		b, err := json.Marshal(map[string]any{"subscriptionType": mp1.TerminationSubscriptionType, "callbackReference": c, "appInstanceId": "app"})
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(b))
	}
	for _, app := range []string{`"other"`, `null`, `["app"]`, `"\u0061pp"`, `"app","appInstanceId":"app"`, `"app\u0000"`} {
		seeds = append(seeds, `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://h/","appInstanceId":`+app+`}`)
	}
	fuzzBodies(f, "POST", terminations, seeds...)
}

var roots = regexp.MustCompile(`^/(mec_service_mgmt|mec_app_support|mep)(/|$)`)

// belowRoots reports whether our routes answer a target. An escaped slash does not separate
// segments: it is a part of a name, which is none of ours, so that service-center answers.
func belowRoots(u *url.URL) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	name, err := url.PathUnescape(first)
	return err == nil && !strings.Contains(name, "/") && roots.MatchString(u.Path)
}

// FuzzTarget sends request lines as they come from the wire.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{servicePath, servicePath + "/liveness", mp1.Base + "/services?ser_name=a", "/mep" + servicePath, mp1.AppSupportBase + "/registrations/app", "/docs", "/openapi.yaml",
		mp1.Base + "/services/..%2F..%2Fx", mp1.Base + "/services/%2e%2e", mp1.Base + "/services/%00", mp1.Base + "/services/%0a%0d", mp1.Base + "//services", mp1.Base + "/services;x",
		mp1.Base + "/services/" + strings.Repeat("a", 4096), mp1.Base + "/services/１２", mp1.Base + "/applications//services", mp1.Base + "/services/a%2Fb", mp1.Base + "/services?%zz", mp1.Base + "/services?a;b",
		mp1.Base + "/services?ser_instance_id=%ff", mp1.Base + "/services?is_local=1&is_local=true", "*", "http://h" + servicePath, "/mec_service_mgmt/v1/../../x", "/%6dec_service_mgmt/v1/services", "/mep/mep" + mp1.Base, "/mec_service_mgmt%2F", "/mec_service_mgmt%2Fv1/services"} {
		f.Add("GET", s, `{"state":"ACTIVE"}`)
		f.Add("PATCH", s, `{"state":"ACTIVE"}`)
	}
	for _, m := range []string{"PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X\u202e", "%s"} {
		f.Add(m, servicePath, registration)
	}
	for _, q := range []string{"graceful=5", "graceful=0", "graceful", "graceful=5&graceful=6", "graceful=%00", "graceful=1e9", "graceful=\u202e"} {
		f.Add("DELETE", mp1.AppSupportBase+"/registrations/app?"+q, "")
	}
	h := newFuzzServer()
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" + body)))
		if err != nil || r.URL.Path == "" {
			return // net/http answers by itself
		}
		r.Body = http.NoBody
		if method != "GET" {
			r = httptest.NewRequest("POST", "/", strings.NewReader(body)).WithContext(r.Context())
			r.Method = method
			if r.URL, err = r.URL.Parse(target); err != nil {
				return
			}
			r.RequestURI = target
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if belowRoots(r.URL) {
			if w.Code >= 300 && w.Code < 400 {
				return // net/http's own redirect to the cleaned path; service-center's outer handler refuses such paths before
			}
			checkAnswer(t, method+" "+target, w)
		} else if w.Code >= 500 {
			t.Fatalf("%q: %d", target, w.Code)
		}
	})
}
