package contract

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/test/mep"
)

// checker holds requests and answers against the document.
type checker struct {
	t      *testing.T
	doc    *openapi3.T
	router routers.Router
	seen   map[string]bool // "GET /path 200"
}

func newChecker(t *testing.T) *checker {
	openapi3filter.RegisterBodyDecoder("application/yaml", func(r io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		b, err := io.ReadAll(r)
		return string(b), err
	})
	for _, text := range []string{"text/html", "text/css", "text/javascript"} {
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.RegisteredBodyDecoder("text/plain"))
	}
	d := document(t)
	router, err := gorillamux.NewRouter(d)
	require.NoError(t, err)
	return &checker{t: t, doc: d, router: router, seen: map[string]bool{}}
}

// usual headers stand in every answer: they are HTTP's own, service-center's, or repeated from
// the request.
var usual = []string{"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Date", "Mep-Agent", "Pragma", "Referrer-Policy", "Server", "Transfer-Encoding", "Vary", "X-Content-Type-Options", "X-Frame-Options"}

// check judges one answer; valid: the request is one that the document allows.
func (j *checker) check(method, path, body string, header http.Header, valid bool, res mep.Answer) {
	j.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = header
	route, params, err := j.router.FindRoute(r)
	require.NoError(j.t, err, "%s %s", method, path)
	what := fmt.Sprintf("%s %s %d", method, route.Path, res.Status)
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeReadOnlyValidations: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if valid {
		require.NoError(j.t, openapi3filter.ValidateRequest(context.Background(), in), what)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: res.Status, Header: res.Header, Options: in.Options}
	out.SetBodyBytes(res.Body)
	require.NoError(j.t, openapi3filter.ValidateResponse(context.Background(), out), "%s: %s", what, res.Body)
	declared := route.Operation.Responses.Value(fmt.Sprint(res.Status)).Value
	for name := range res.Header {
		require.True(j.t, slices.Contains(usual, name) || describes(declared.Headers, name), "%s has header %s, which the document does not know", what, name)
	}
	if len(declared.Content) == 0 {
		require.Empty(j.t, res.Body, what)
	}
	j.seen[what] = true
}

// describes says whether a header is among those of a document, where its case does not count.
func describes(headers openapi3.Headers, name string) bool {
	for one := range headers {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// do sends a request as the document allows it, and judges the answer.
func (j *checker) do(s *mep.Server, want int, method, path, body string, header ...string) mep.Answer {
	j.t.Helper()
	return j.send(s, true, want, method, path, body, header...)
}

// bad sends a request that it does not allow.
func (j *checker) bad(s *mep.Server, want int, method, path, body string, header ...string) {
	j.t.Helper()
	j.send(s, false, want, method, path, body, header...)
}

func (j *checker) send(s *mep.Server, valid bool, want int, method, path, body string, header ...string) mep.Answer {
	j.t.Helper()
	res := s.Do(method, path, body, header...)
	require.Equal(j.t, want, res.Status, "%s %s: %s", method, path, res.Body)
	h := http.Header{}
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	j.check(method, path, body, h, valid, res)
	return res
}

const (
	service = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":30,"scopeOfLocality":"ZONE","isLocal":true,
		"serCategory":{"href":"/c","id":"c","name":"n","version":"1"},"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2",
		"endpoint":{"addresses":[{"host":"h","port":1}]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"http://t"},"x":1},"implSpecificInfo":{"a":1}}}`
	byID         = `{"serName":"n","version":"1","state":"INACTIVE","serializer":"XML","transportId":"rest-http"}`
	beat         = `{"state":"ACTIVE"}`
	subscription = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:9/cb","filteringCriteria":{"serNames":["x"],"states":["ACTIVE"],"isLocal":true}}`
	termination  = `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"http://127.0.0.1:9/cb","appInstanceId":"app"}`
	app          = `{"appName":"n","appInstanceId":"app","endpoint":{"fqdn":["h"]},"appServiceRequired":[{"serName":"s","version":"1"}],"appFeatureOptional":[{"featureName":"f","version":"1"}],"isInsByMec":false,"appProfile":{"a":1}}`
	none         = "0000000000000000000000000000000000000000000000000000000000000000"
)

var self = regexp.MustCompile(`"self":\{"href":"([^"]+)"`)

// Every operation with every status that the document promises, by the running
// program; what only a broken store provokes, by the surface over one.
func TestEveryAnswerIsAsDescribed(t *testing.T) {
	j := newChecker(t)
	s := mep.Start(t, "MEP_APPLICATIONS_MAX_SERVICES=3", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1",
		"MEP_TIMING_NTP_SERVERS=ntp.example,192.0.2.1 key 3", "MEP_TIMING_PTP_MASTERS=2001:db8::1")
	for _, prefix := range []string{"", "/mep"} {
		j.services(s, prefix+mp1.Base, fmt.Sprint("app", len(prefix)))
		application := fmt.Sprint("app", len(prefix))
		j.subscriptions(s, prefix+mp1.Base+"/applications/"+application+"/subscriptions", subscription)
		j.subscriptions(s, prefix+mp1.AppSupportBase+"/applications/"+application+"/subscriptions", strings.Replace(termination, `"app"`, `"`+application+`"`, 1))
		j.registrations(s, prefix+mp1.AppSupportBase+"/registrations")
		j.life(s, prefix+mp1.AppSupportBase)
	}
	j.time(s)
	j.rules(s)
	for _, path := range []string{"/health", "/ready", "/metrics", "/openapi.yaml", "/docs", mp1.WebhookKeysPath} {
		j.do(s, 200, "GET", path, "")
	}
	j.board(s)
	j.renegotiation(s)
	j.events(s)
	j.heartbeats(s)
	j.identities()
	j.lives(s)
	j.drains(s)
	j.state(s)
	j.edgeGallery()
	j.unknown(mep.Start(t, "MEP_APPLICATIONS_ADMISSION=registered"))
	j.tooLong(s)
	j.broken(heartbeat.ErrUnavailable, 503)
	j.broken(heartbeat.ErrFull, 507)
	j.broken(server.ErrTooManyRegistrations, 403)
	j.limited()
	var open []string
	for pattern, o := range operations(j.doc) {
		for status := range o.Responses.Map() {
			if what := pattern + " " + status; !j.seen[what] && !slices.Contains(beforeReady, what) && !ofIdentities(pattern, status) && !ofDefinitions(pattern, status) && !ofDrains(pattern, status) && !ofBoard(pattern, status) {
				open = append(open, what)
			}
		}
	}
	slices.Sort(open)
	require.Empty(t, open, "the document promises what nothing here provokes")
	t.Logf("%d operations, %d statuses seen", len(operations(j.doc)), len(j.seen))
}

// beforeReady are answers that only a starting program gives, which test/e2e sees, or one with
// identities, which plugins tests; and the one behind which no HTTP follows.
var beforeReady = []string{"GET /metrics 429", "GET /metrics 503", "GET /ready 503", "GET /docs 503", "GET /openapi.yaml 503", "GET " + mp1.WebhookKeysPath + " 503", "GET " + mp1.EventsPath + " 503", "POST " + mp1.HeartbeatsPath + " 503",
	"GET " + mp1.Base + "/transports 503", "GET " + mp1.Base + "/services/{serviceId} 503", "GET " + mp1.Base + "/applications/{appInstanceId}/services/{serviceId} 503",
	"GET " + mp1.Base + "/applications/{appInstanceId}/subscriptions/{subscriptionId} 503", "GET " + mp1.AppSupportBase + "/registrations/{appInstanceId} 503",
	"GET " + mp1.AppSupportBase + "/applications/{appInstanceId}/subscriptions/{subscriptionId} 503",
	"GET " + statePath + " 503", "GET " + statePath + " 429", "GET " + oneStatePath + " 503", "GET " + storePath + " 503", "GET " + storePath + " 429", "GET " + mp1.ChangesPath + " 503", "GET " + mp1.ChangesPath + " 429",
	"GET " + lifePath + " 503", "GET " + lifePath + "/{appInstanceId} 503", // and while the store does not answer
	"GET " + mp1.Base + "/applications/{appInstanceId}/subscriptions/{subscriptionId}/websocket 503", "GET " + mp1.Base + "/applications/{appInstanceId}/subscriptions/{subscriptionId}/websocket 101",
	"GET " + mp1.AppSupportBase + "/applications/{appInstanceId}/subscriptions/{subscriptionId}/websocket 503", "GET " + mp1.AppSupportBase + "/applications/{appInstanceId}/subscriptions/{subscriptionId}/websocket 101",
	"GET " + mp1.AppSupportBase + "/applications/{appInstanceId}/dns_rules/{dnsRuleId} 503", "GET " + mp1.AppSupportBase + "/applications/{appInstanceId}/traffic_rules/{trafficRuleId} 503",
	"GET " + mp1.AppSupportBase + "/timing/current_time 503", "GET " + mp1.AppSupportBase + "/timing/timing_caps 503"}

func (j *checker) services(s *mep.Server, base, application string) {
	mine := base + "/applications/" + application + "/services"
	made := j.do(s, 201, "POST", mine, service)
	one := self.FindSubmatch(made.Body)[1]
	path := string(one)
	j.do(s, 201, "POST", mine, byID)
	plain := string(self.FindSubmatch(j.do(s, 201, "POST", mine, strings.Replace(byID, "INACTIVE", "ACTIVE", 1)).Body)[1])
	j.do(s, 403, "POST", mine, service)
	id := path[strings.LastIndexByte(path, '/')+1:]
	foreign := strings.Replace(path, application, "other", 1)

	for _, list := range []string{base + "/services", mine} {
		j.do(s, 200, "GET", list, "")
		j.do(s, 200, "GET", list+"?ser_name=n&ser_name=m&scope_of_locality=ZONE&consumed_local_only=true&is_local=true", "")
		j.do(s, 200, "GET", list+"?ser_instance_id="+id, "")
		j.bad(s, 400, "GET", list+"?unknown=1", "")
	}
	for _, one := range []string{base + "/services/" + id, path} {
		j.do(s, 200, "GET", one, "")
		j.bad(s, 400, "GET", one+"?x=1", "")
	}
	j.do(s, 404, "GET", base+"/services/"+none, "")
	j.do(s, 200, "GET", base+"/transports", "")
	j.bad(s, 400, "GET", base+"/transports?x=1", "")
	j.do(s, 404, "GET", mine+"/"+none, "")
	j.do(s, 403, "GET", foreign, "")
	j.bad(s, 400, "POST", mine, "{}")
	j.bad(s, 413, "POST", mine, strings.Repeat(" ", 70000))
	j.bad(s, 415, "POST", mine, "x", "Content-Type", "text/plain")

	j.do(s, 200, "PUT", path, service, "If-Match", made.Header.Get("ETag"))
	j.do(s, 412, "PUT", path, service, "If-Match", "INVALID_ETAG")
	j.do(s, 403, "PUT", foreign, service)
	j.do(s, 404, "PUT", mine+"/"+none, service)
	j.bad(s, 400, "PUT", path, "{}")
	j.bad(s, 413, "PUT", path, strings.Repeat(" ", 70000))
	j.bad(s, 415, "PUT", path, "x", "Content-Type", "text/plain")

	for _, at := range []string{path + "/liveness", strings.Replace(path, "/services/", "/service/", 1) + "/liveness"} {
		j.liveness(s, at, strings.Replace(at, application, "other", 1), strings.Replace(at, id, none, 1))
	}
	j.do(s, 200, "PUT", path, strings.Replace(service, "ACTIVE", "INACTIVE", 1))
	for _, method := range []string{"PATCH", "PUT"} {
		j.do(s, 409, method, path+"/liveness", beat)
		j.do(s, 409, method, strings.Replace(path, "/services/", "/service/", 1)+"/liveness", beat)
	}
	j.do(s, 404, "PATCH", plain+"/liveness", beat)
	j.do(s, 403, "DELETE", foreign, "")
	j.do(s, 412, "DELETE", path, "", "If-Match", `"x"`)
	j.bad(s, 400, "DELETE", path+"?x=1", "")
	j.do(s, 200, "PUT", path, service, "Mep-Agent", "here.1")
	j.do(s, 409, "DELETE", path, "", "Mep-Agent", "there.1")
	j.do(s, 204, "DELETE", path, "")
	j.do(s, 404, "DELETE", path, "")
	j.do(s, 204, "DELETE", plain, "")
}

func (j *checker) liveness(s *mep.Server, at, foreign, unknown string) {
	j.do(s, 200, "GET", at, "")
	j.do(s, 403, "GET", foreign, "")
	j.do(s, 404, "GET", unknown, "")
	j.bad(s, 400, "GET", at+"?x=1", "")
	for _, method := range []string{"PATCH", "PUT"} {
		j.do(s, 204, method, at, beat)
		j.do(s, 204, method, at, `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`)
		j.do(s, 403, method, foreign, beat)
		j.do(s, 404, method, unknown, beat)
		j.bad(s, 400, method, at, `{"state":"INACTIVE"}`)
		j.do(s, 412, method, at, beat, "If-Match", `"x"`)
		j.bad(s, 413, method, at, strings.Repeat(" ", 1025))
		j.bad(s, 415, method, at, "x", "Content-Type", "text/plain")
	}
}

// renegotiation makes the platform tell a new interval.
func (j *checker) renegotiation(s *mep.Server) {
	path := string(self.FindSubmatch(j.do(s, 201, "POST", mep.ServicesOf("told"), service).Body)[1])
	j.do(s, 200, "PUT", path, strings.Replace(service, `"livenessInterval":30`, `"livenessInterval":60`, 1))
	for _, at := range []string{path + "/liveness", strings.Replace(path, "/services/", "/service/", 1) + "/liveness"} {
		j.do(s, 200, "PATCH", at, beat)
		j.do(s, 200, "PUT", at, beat)
	}
}

func (j *checker) subscriptions(s *mep.Server, all, subscription string) {
	j.do(s, 200, "GET", all, "")
	j.bad(s, 400, "GET", all+"?x=1", "")
	one := j.do(s, 201, "POST", all, subscription).Header.Get("Location")
	j.do(s, 403, "POST", all, subscription)
	j.do(s, 200, "GET", all, "")
	j.bad(s, 400, "POST", all, "{}")
	j.bad(s, 413, "POST", all, strings.Repeat(" ", 70000))
	j.bad(s, 415, "POST", all, "x", "Content-Type", "text/plain")
	j.do(s, 200, "GET", one, "")
	j.bad(s, 400, "GET", one+"?x=1", "")
	j.do(s, 412, "DELETE", one, "", "If-Match", `"x"`)
	j.bad(s, 400, "DELETE", one+"?x=1", "")
	j.do(s, 404, "GET", one+"/websocket", "")
	j.do(s, 204, "DELETE", one, "")
	j.do(s, 404, "DELETE", one, "")
	j.do(s, 404, "GET", one, "")
	one = j.do(s, 201, "POST", all, strings.Replace(subscription, `"callbackReference":"http://127.0.0.1:9/cb"`, `"websockNotifConfig":{"requestWebsocketUri":true}`, 1)).Header.Get("Location")
	j.do(s, 200, "GET", one, "")
	j.do(s, 426, "GET", one+"/websocket", "")
	j.bad(s, 400, "GET", one+"/websocket?x=1", "")
	j.do(s, 204, "DELETE", one, "")
}

func (j *checker) registrations(s *mep.Server, all string) {
	one := j.do(s, 201, "POST", all, app).Header.Get("Location")
	j.do(s, 409, "POST", all, app)
	j.bad(s, 400, "POST", all, "{}")
	j.bad(s, 413, "POST", all, strings.Repeat(" ", 70000))
	j.bad(s, 415, "POST", all, "x", "Content-Type", "text/plain")
	j.do(s, 200, "GET", one, "")
	j.bad(s, 400, "GET", one+"?x=1", "")
	j.do(s, 204, "PUT", one, app)
	j.do(s, 412, "PUT", one, app, "If-Match", `"x"`)
	j.bad(s, 400, "PUT", one, "{}")
	j.bad(s, 413, "PUT", one, strings.Repeat(" ", 70000))
	j.bad(s, 415, "PUT", one, "x", "Content-Type", "text/plain")
	j.do(s, 412, "DELETE", one, "", "If-Match", `"x"`)
	j.bad(s, 400, "DELETE", one+"?x=1", "")
	j.do(s, 204, "DELETE", one, "")
	j.do(s, 404, "DELETE", one, "")
	j.do(s, 404, "GET", one, "")
	j.do(s, 404, "PUT", one, app)
}

func (j *checker) time(s *mep.Server) {
	for _, one := range []string{"/timing/current_time", "/timing/timing_caps"} {
		j.do(s, 200, "GET", mp1.AppSupportBase+one, "")
		j.bad(s, 400, "GET", mp1.AppSupportBase+one+"?x=1", "")
	}
}

// bodies are those that the document allows, by operation.
func bodies(pattern string) string {
	switch {
	case strings.HasSuffix(pattern, "/liveness") && !strings.HasPrefix(pattern, "GET"):
		return beat
	case strings.HasPrefix(pattern, "POST "+mp1.AppSupportBase) && strings.HasSuffix(pattern, "/subscriptions"):
		return termination
	case strings.HasPrefix(pattern, "POST") && strings.HasSuffix(pattern, "/subscriptions"):
		return subscription
	case pattern == "PUT "+rulesPath:
		return `{"dnsRules":[` + dnsRule + `]}`
	case strings.HasPrefix(pattern, "PUT") && strings.Contains(pattern, "/dns_rules/"):
		return dnsRule
	case strings.HasPrefix(pattern, "PUT") && strings.Contains(pattern, "/traffic_rules/"):
		return trafficRule
	case strings.Contains(pattern, "/registrations") && (strings.HasPrefix(pattern, "POST") || strings.HasPrefix(pattern, "PUT")):
		return app
	case strings.HasSuffix(pattern, "/confirm_ready"):
		return isReady
	case strings.HasSuffix(pattern, "/confirm_termination"):
		return isDone
	case strings.HasSuffix(pattern, "/appd_configuration"):
		return `{"appName":"n"}`
	case strings.HasPrefix(pattern, "POST"), strings.HasPrefix(pattern, "PUT"):
		return service
	}
	return ""
}

var filled = strings.NewReplacer("{appInstanceId}", "app", "{serviceId}", "id", "{subscriptionId}", "id", "{dnsRuleId}", "id", "{trafficRuleId}", "id")

// unknown asks everything on behalf of an application that is not admitted.
func (j *checker) unknown(s *mep.Server) {
	for _, pattern := range slices.Sorted(maps.Keys(operations(j.doc))) {
		method, path, _ := strings.Cut(pattern, " ")
		if strings.Contains(path, "{appInstanceId}") {
			j.do(s, 404, method, filled.Replace(path), bodies(pattern))
		}
	}
}

// tooLong asks everything under a URI that is too long.
func (j *checker) tooLong(s *mep.Server) {
	for _, pattern := range slices.Sorted(maps.Keys(operations(j.doc))) {
		method, path, _ := strings.Cut(pattern, " ")
		if strings.HasPrefix(path, "/mec_") {
			j.bad(s, 414, method, filled.Replace(path)+"?ser_name="+strings.Repeat("x", 2100), bodies(pattern))
		}
	}
}

// broken asks everything of a surface whose store fails in one way.
func (j *checker) broken(err error, want int) {
	m := http.NewServeMux()
	n := nothing{err}
	for _, r := range server.Routes(n, everything(n)) {
		m.Handle(r.Pattern, r.Handler)
	}
	for pattern, o := range operations(j.doc) {
		method, path, _ := strings.Cut(pattern, " ")
		if method == "GET" && want != 503 || o.Responses.Value(fmt.Sprint(want)) == nil || slices.Contains(beforeReady, fmt.Sprint(pattern, " ", want)) || slices.Contains(others, pattern) {
			continue
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, filled.Replace(path), strings.NewReader(bodies(pattern)))
		m.ServeHTTP(w, r)
		require.Equal(j.t, want, w.Code, pattern)
		b, _ := io.ReadAll(bytes.NewReader(w.Body.Bytes()))
		j.check(method, filled.Replace(path), "", http.Header{}, false, mep.Answer{Status: w.Code, Header: w.Header(), Body: b})
	}
}
