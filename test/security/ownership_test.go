package security

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// answers of one route to the application that owns the service or subscription, to
// another registered one, and to one that the platform does not know.
type answers struct{ owner, other, unknown int }

const (
	ofApp   = mp1.Base + "/applications/{appInstanceId}"
	service = ofApp + "/services/{serviceId}"
	alias   = ofApp + "/service/{serviceId}"
)

// matrix has a line for every route that names an application. Services are public,
// so a foreign one is a 403; subscriptions are private, so a foreign one is a 404.
var matrix = map[string]answers{
	"GET " + ofApp + "/services":                          {200, 200, 404}, // each its own
	"POST " + ofApp + "/services":                         {201, 201, 404},
	"GET " + service:                                      {200, 403, 404},
	"PUT " + service:                                      {200, 403, 404},
	"DELETE " + service:                                   {204, 403, 404},
	"GET " + service + "/liveness":                        {200, 403, 404},
	"PATCH " + service + "/liveness":                      {204, 403, 404},
	"PUT " + service + "/liveness":                        {204, 403, 404},
	"GET " + alias + "/liveness":                          {200, 403, 404},
	"PATCH " + alias + "/liveness":                        {204, 403, 404},
	"PUT " + alias + "/liveness":                          {204, 403, 404},
	"GET " + ofApp + "/subscriptions":                     {200, 200, 404},
	"POST " + ofApp + "/subscriptions":                    {201, 201, 404},
	"GET " + ofApp + "/subscriptions/{subscriptionId}":    {200, 404, 404},
	"DELETE " + ofApp + "/subscriptions/{subscriptionId}": {204, 404, 404},

	"GET " + ofApp + "/subscriptions/{subscriptionId}/websocket": {404, 404, 404}, // the owner's has a callback; TestAWebSocketIsItsOwners opens one

	"POST " + mp1.AppSupportBase + "/applications/{appInstanceId}/confirm_ready":       {204, 204, 404}, // each for itself
	"POST " + mp1.AppSupportBase + "/applications/{appInstanceId}/confirm_termination": {409, 409, 404},

	"GET " + mp1.AppSupportBase + "/registrations/{appInstanceId}":    {200, 200, 404}, // each its own
	"PUT " + mp1.AppSupportBase + "/registrations/{appInstanceId}":    {204, 204, 404},
	"DELETE " + mp1.AppSupportBase + "/registrations/{appInstanceId}": {204, 204, 404},
}

func TestEveryRouteOfAnApplicationIsInTheMatrix(t *testing.T) {
	var routes []string
	for _, p := range patterns() {
		if strings.Contains(p, " /mec_") && strings.Contains(p, "{appInstanceId}") {
			routes = append(routes, p)
			require.Contains(t, patterns(), strings.Replace(p, " /", " /mep/", 1), "the alias has it too")
		}
	}
	require.Len(t, matrix, len(routes))
	for _, p := range routes {
		require.Contains(t, matrix, p, "who may do this?")
	}
}

// world is a platform with an owner's service and subscription.
type world struct {
	t                     *testing.T
	s                     *mep.Server
	service, subscription string
}

func (w *world) register(app string) {
	w.t.Helper()
	r := w.s.Do("POST", mp1.AppSupportBase+"/registrations", `{"appName":"n","appInstanceId":"`+app+`"}`)
	require.Contains(w.t, []int{201, 409}, r.Status)
}

func (w *world) path(pattern, app string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{appInstanceId}", app, "{serviceId}", w.service, "{subscriptionId}", w.subscription).Replace(path)
}

// See what the owner has, as he sees it.
func (w *world) seen() string {
	w.t.Helper()
	svc, sub := w.s.Do("GET", mp1.Base+"/services/"+w.service, ""), w.s.Do("GET", mep.SubscriptionsOf("owner")+"/"+w.subscription, "")
	live := w.s.Do("GET", mep.LivenessOf("owner", w.service), "")
	require.Equal(w.t, []int{200, 200, 200}, []int{svc.Status, sub.Status, live.Status})
	return fmt.Sprint(string(svc.Body), string(sub.Body), string(live.Body))
}

// Nobody but the owner reads, changes, deletes or beats what is his: routes ×
// {owner, other, unknown}, below both prefixes.
func TestOwnership(t *testing.T) {
	t.Parallel()
	w := &world{t: t, s: mep.Start(t, "MEP_APPLICATIONS_ADMISSION=registered")}
	asked := 0
	for _, prefix := range []string{"", "/mep"} {
		for _, pattern := range slices.Sorted(func(yield func(string) bool) {
			for p := range matrix {
				if !yield(p) {
					return
				}
			}
		}) {
			w.register("owner")
			w.register("other")
			w.service, w.subscription = owned(w.s, "owner")
			owned(w.s, "other")
			before := w.seen()
			want := matrix[pattern]
			for _, c := range []struct {
				app    string
				status int
			}{{"unknown", want.unknown}, {"other", want.other}, {"owner", want.owner}} {
				if c.app == "owner" {
					require.Equal(t, before, w.seen(), "%s by others changed what is the owner's", pattern)
				}
				method, path := w.path(pattern, c.app)
				r := w.s.Do(method, prefix+path, bodyOf(pattern), "X-AppInstanceId", "owner", "Authorization", "Bearer owner")
				require.Equal(t, c.status, r.Status, "%s %s%s: %s", method, prefix, path, r.Body)
				if c.app != "owner" {
					require.NotContains(t, string(r.Body), w.service, "%s shows what is another's", pattern)
					require.NotContains(t, string(r.Body), w.subscription, pattern)
				}
				asked++
			}
		}
	}
	t.Logf("%d requests: %d routes, 2 prefixes, 3 callers", asked, len(matrix))
}
