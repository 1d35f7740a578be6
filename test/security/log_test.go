package security

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// The secret that must be in no log, alone and among everything that forges lines,
// terminals and formats.
const (
	canary  = "CANARY5ecret"
	evil    = canary + "\r\n" + `{"time":"now","level":"ERROR","msg":"forged"}` + "\r\n\x1b[2J\x00\u202e\u2028\u0085%!s(MISSING)%d%n" + `"},{"level":"ERROR` + canary
	visible = canary + "\u202e\u2028%!s(MISSING)%d%n" + `"},{"level":"ERROR` // what may stand in a JSON text
)

// The bodies, by what their routes take.
var bodies = map[string]string{
	"service": `{"serName":"n","serCategory":{"href":"/c","id":"c","name":"n","version":"1"},"version":"1","state":"ACTIVE","transportInfo":{"id":"t","name":"n","description":"d","type":"REST_HTTP",
		"protocol":"HTTP","version":"2","endpoint":{"uris":["http://h"]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"http://t"},"extension":"x"},"implSpecificInfo":{"a":"b"}},
		"serializer":"JSON","scopeOfLocality":"ZONE","livenessInterval":60,"unknown":"x"}`,
	"beat":         `{"state":"ACTIVE","unknown":"x"}`,
	"subscription": `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:9/cb","filteringCriteria":{"serNames":["n"],"states":["ACTIVE"]},"unknown":"x"}`,
	"ready":        `{"indication":"READY","unknown":"x"}`,
	"terminate":    `{"operationAction":"TERMINATING","unknown":"x"}`,
	"app":          `{"appName":"n","appProvider":"p","appCategory":{"href":"/c","id":"c","name":"n","version":"1"},"appDId":"d","unknown":"x","appProfile":{"a":"b"}}`,
}

func bodyOf(pattern string) string {
	switch {
	case strings.HasPrefix(pattern, "GET"), strings.HasPrefix(pattern, "DELETE"):
		return ""
	case strings.Contains(pattern, "/liveness"):
		return bodies["beat"]
	case strings.Contains(pattern, "/subscriptions"):
		return bodies["subscription"]
	case strings.HasSuffix(pattern, "/confirm_ready"):
		return bodies["ready"]
	case strings.HasSuffix(pattern, "/confirm_termination"):
		return bodies["terminate"]
	case strings.Contains(pattern, "/registrations"):
		return bodies["app"]
	default:
		return bodies["service"]
	}
}

// poisoned are copies of a JSON document with one text, or one name, replaced.
func poisoned(t *testing.T, doc, by string) (out []string) {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(doc), &v))
	add := func() {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		out = append(out, string(b))
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				was := v[name]
				if _, text := was.(string); text {
					v[name] = by
					add()
				}
				delete(v, name)
				v[by] = was
				add()
				delete(v, by)
				v[name] = was
				walk(was)
			}
		case []any:
			for i, was := range v {
				if _, text := was.(string); text {
					v[i] = by
					add()
					v[i] = was
				}
				walk(was)
			}
		}
	}
	walk(v)
	return out
}

// attack is one request; raw is written as it is.
type attack struct {
	where string
	raw   string
}

func request(method, target, header, body string) string {
	if header != "" {
		header += "\r\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", method, target, len(body), header, body)
}

// attacks puts the secret into every position of a route.
func attacks(t *testing.T, method, path, service, subscription, body string) (out []attack) {
	fill := func(app, service, subscription string) string {
		return strings.NewReplacer("{appInstanceId}", app, "{serviceId}", service, "{subscriptionId}", subscription).Replace(path)
	}
	good := fill("app", service, subscription)
	add := func(where, raw string) { out = append(out, attack{where, raw}) }
	escaped := url.PathEscape(evil)
	add("path, application", request(method, fill(escaped, service, subscription), "", body))
	add("path, id", request(method, fill("app", escaped, escaped), "", body))
	add("path, behind it", request(method, good+"/"+escaped, "", body))
	add("path, as it is", request(method, good+strings.NewReplacer("\r", "", "\n", "", " ", "").Replace(evil), "", body))
	add("query, value", request(method, good+"?ser_name="+url.QueryEscape(evil), "", body))
	add("query, visible value", request(method, good+"?ser_name="+url.QueryEscape(visible), "", body))
	add("query, name", request(method, good+"?"+url.QueryEscape(evil)+"=x", "", body))
	add("query, broken", request(method, good+"?%zz"+canary, "", body))
	add("method", request(canary+"%d", good, "", body))
	add("method, as it is", request(evil, good, "", body))
	add("version", strings.Replace(request(method, good, "", body), "HTTP/1.1", "HTTP/"+canary, 1))
	for _, h := range []string{"Authorization", "Cookie", "X-AppInstanceId", "X-Forwarded-For", "X-Real-Ip", "User-Agent", "Referer", "Content-Type", "Accept", "If-Match", "Origin", "X-Domain-Name", "X-ConsumerId", "Expect", "Transfer-Encoding"} {
		add("header "+h, request(method, good, h+": "+canary+" %s\u202e\u2028", body))
		add("header "+h+", as it is", request(method, good, h+": "+evil, body))
	}
	add("header, name", request(method, good, canary+": x", body))
	add("header, evil name", request(method, good, evil+": x", body))
	add("Host", strings.Replace(request(method, good, "", body), "Host: localhost", "Host: "+canary+"\u202e", 1))
	if body != "" {
		for _, by := range []string{evil, visible, "http://127.0.0.1:9/" + canary + "?token=" + canary} {
			for i, b := range poisoned(t, body, by) {
				add(fmt.Sprint("body ", i), request(method, good, "Content-Type: application/json", b))
			}
		}
		add("body, not JSON", request(method, good, "", evil))
		add("body, too large", request(method, good, "", `{"serName":"`+strings.Repeat(canary, 10000)+`"}`))
	}
	return out
}

// Every request has the secret in one position, among line breaks, escapes,
// bidirectional controls and format verbs. What it leaves in the log is at most one
// line for each event that it brought about, each one JSON object of ours, and the
// secret is in none.
func TestNoRequestWritesIntoTheLog(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append([]string{"MEP_APPLICATIONS_MAX_SERVICES=100000", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=100000", "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0"}, mep.Fast...)...)
	sent, made := 0, 1 // the one that dies below
	for _, pattern := range append(patterns(), "GET /health", "GET /ready", "GET /metrics") {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = "OPTIONS", pattern // the refusals
		}
		service, subscription := fresh(t, s)
		made++
		now := strings.NewReplacer()
		for _, a := range attacks(t, method, path, service, subscription, bodyOf(pattern)) {
			status := send(t, s, []byte(now.Replace(a.raw)))
			sent++
			if status == 201 && method == "POST" && strings.HasSuffix(path, "/services") {
				made++
			}
			if status != 501 && status != 505 { // net/http's own: a transfer coding and a version that it does not know
				require.Less(t, status, 500, "%s: %s", pattern, a.where)
			}
			if method == "DELETE" && status == 204 {
				another, one := fresh(t, s)
				now = strings.NewReplacer(service, another, subscription, one)
				made++
			}
		}
	}
	// a subscriber that cannot be reached, a death and a return: what the program logs by itself
	s.Want(201, "POST", mep.SubscriptionsOf("app"), strings.Replace(bodies["subscription"], "/cb", "/"+canary+"?token="+canary, 1))
	dies := s.RegisterInfo("app", strings.Replace(bodies["service"], ":60", ":1", 1))
	wait.Until(t, "its death is logged", func() bool {
		return slices.ContainsFunc(logged(t, s), func(m map[string]any) bool {
			return m["transaction"] == "CLAIM" && m["serInstanceId"] == dies.ID
		})
	})
	time.Sleep(2 * time.Second) // for a second attempt at the subscriber
	lines := logged(t, s)
	require.NotContains(t, s.Log(), canary)
	events := map[string]int{}
	for _, m := range lines {
		if m["transaction"] != nil {
			events[fmt.Sprint(m["serInstanceId"], " ", m["seq"])]++
		}
		if m["transaction"] == "REGISTER" {
			made--
		}
	}
	require.Zero(t, made, "each registration has its line")
	for event, n := range events {
		require.Equal(t, 1, n, "one line for one event: %s", event)
	}
	require.NotZero(t, len(lines), "a log without lines proves nothing")
	t.Logf("%d requests over %d routes, %d lines, 0 of them with the secret", sent, len(patterns()), len(lines))
}

// fresh registers the application "app", if it is not, and gives it a service and a
// subscription.
func fresh(t *testing.T, s *mep.Server) (service, subscription string) {
	t.Helper()
	if status := s.Do("POST", mp1.AppSupportBase+"/registrations", `{"appName":"n","appInstanceId":"app"}`).Status; status != 201 {
		require.Equal(t, 409, status)
	}
	return owned(s, "app")
}

// owned gives an application a service and a subscription.
func owned(s *mep.Server, app string) (service, subscription string) {
	s.T().Helper()
	service = s.RegisterInfo(app, bodies["service"]).ID
	return service, path.Base(s.Want(201, "POST", mep.SubscriptionsOf(app), bodies["subscription"]).Header.Get("Location"))
}
