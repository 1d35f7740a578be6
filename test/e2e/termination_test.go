package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	isReady  = `{"indication":"READY"}`
	isDone   = `{"operationAction":"TERMINATING"}`
	lifePath = mp1.LivenessBase + "/applications"
)

// ending is an application that is told of its termination, with services whose consumer is told
// of changes.
type ending struct {
	t        *testing.T
	s        *mep.Server
	prefix   string // of its requests
	app      string
	services []*mep.Service
	// its is where the application is told, told where the consumer of its services is.
	its, told    *consumer.Consumer
	subscription string
}

// begin registers an application with n services, all of which beat once.
func begin(t *testing.T, s *mep.Server, prefix, app string, n int) *ending {
	t.Helper()
	e := &ending{t: t, s: s, prefix: prefix, app: app, its: consumer.Start(t), told: consumer.Start(t)}
	s.Want(201, "POST", prefix+registrations, appInfo(app))
	for i := range n {
		e.services = append(e.services, s.Register(app, fmt.Sprint(app, "-", i), 60))
	}
	r := s.Want(201, "POST", e.at("subscriptions"), fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q,"appInstanceId":%q}`, mp1.TerminationSubscriptionType, e.its.URL, app))
	e.subscription = r.Header.Get("Location")
	s.Subscribe("watcher-of-"+app, e.told.URL, `{"states":["ACTIVE"]}`)
	return e
}

// at is a resource of the application.
func (e *ending) at(resource string) string {
	return e.prefix + mp1.AppSupportBase + "/applications/" + e.app + "/" + resource
}

// on is the registration, with a query.
func (e *ending) on(query string) string { return e.prefix + registrations + "/" + e.app + query }

// wantTold waits until the application was told, and checks what.
func (e *ending) wantTold(seconds int) {
	e.t.Helper()
	wait.Until(e.t, "the application is told", func() bool { return len(e.its.Receipts()) > 0 })
	got := e.its.Receipts()[0]
	require.JSONEq(e.t, fmt.Sprintf(`{"notificationType":"AppTerminationNotification","operationAction":"TERMINATING","maxGracefulTimeout":%d,
		"_links":{"subscription":{"href":%q},"confirmTermination":{"href":%q}}}`, seconds, e.subscription, e.at("confirm_termination")), got.Body)
	require.NotEmpty(e.t, got.ID)
}

// wantGone waits until nothing of it is left, at a replica of the platform.
func (e *ending) wantGone(s *mep.Server) {
	e.t.Helper()
	for _, v := range e.services {
		wait.Until(e.t, "its services are gone", func() bool { return s.State(v.ID) == "404" })
	}
	wait.Until(e.t, "its subscription is gone", func() bool { return s.Do("GET", e.subscription, "").Status == 404 })
	s.Want(404, "GET", e.on(""), "")
}

// wantToldOnce checks, when all is gone, that the consumer was told of each removal and the
// application of its termination, and of nothing under two ids.
func (e *ending) wantToldOnce() {
	e.t.Helper()
	wait.Until(e.t, "its consumer is told", func() bool { return len(removals(e.told)) == len(e.services) })
	require.Empty(e.t, e.told.Faults())
	require.Empty(e.t, e.its.Faults())
	for service, ids := range removals(e.told) {
		require.Len(e.t, ids, 1, service)
	}
	ids := map[string]bool{}
	for _, r := range e.its.Receipts() {
		ids[r.ID] = true
	}
	require.LessOrEqual(e.t, len(ids), 1, "told of one termination under one id")
}

// removals are the webhook-ids under which a consumer was told that a service was removed, by
// the service.
func removals(c *consumer.Consumer) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, n := range c.Receipts() {
		for _, r := range n.ServiceReferences {
			if r.ChangeType == mp1.Removed {
				if out[r.SerInstanceID] == nil {
					out[r.SerInstanceID] = map[string]bool{}
				}
				out[r.SerInstanceID][n.ID] = true
			}
		}
	}
	return out
}

// seen is what administrators see of an application.
func seen(s *mep.Server, app string) (life struct {
	Registered, Leaving bool
	Ready               string
	Termination         *struct{ Begun, Ends string }
}) {
	_ = json.Unmarshal(s.Do("GET", lifePath+"/"+app, "").Body, &life)
	return life
}

func admission(of string) []string {
	return append([]string{"MEP_APPLICATIONS_ADMISSION=" + of, "MEP_APPLICATIONS_KNOWN=watcher-of-a,watcher-of-b,known"}, mep.Fast...)
}

// From the trigger to the confirmation everything works on; with it all goes, and everybody is
// told once.
func TestAnApplicationIsToldOfItsTerminationAndConfirms(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"open", "registered"} {
		s := mep.Start(t, admission(of)...)
		for app, prefix := range map[string]string{"a": "", "b": "/mep"} {
			e := begin(t, s, prefix, app, 3)
			s.Want(409, "POST", e.at("confirm_termination"), isDone)
			for _, query := range []string{"?graceful=0", "?graceful=86401", "?graceful=1.5", "?graceful", "?x=1", "?graceful=5&graceful=5"} {
				s.Want(400, "DELETE", e.on(query), "")
			}
			etag := s.Want(200, "GET", e.on(""), "").Header.Get("ETag")
			s.Want(412, "DELETE", e.on("?graceful=600"), "", "If-Match", `"x"`)
			r := s.Want(202, "DELETE", e.on("?graceful=600"), "", "If-Match", etag)
			require.Empty(t, r.Body)
			e.wantTold(600)

			require.Contains(t, s.Want(409, "DELETE", e.on("?graceful=5"), "").Object(t)["detail"], "without graceful")
			s.Want(409, "POST", e.at("confirm_ready"), isReady)
			s.Want(400, "POST", e.at("confirm_termination"), `{"operationAction":"STOPPING"}`)
			for _, v := range e.services {
				v.Beat()
			}
			s.Want(200, "GET", e.on(""), "")
			s.Want(204, "PUT", e.on(""), `{"appName":"m"}`)
			s.Want(200, "GET", e.subscription, "")
			life := seen(s, app)
			require.True(t, life.Registered && !life.Leaving)
			begun, err := time.Parse(time.RFC3339, life.Termination.Begun)
			require.NoError(t, err)
			ends, err := time.Parse(time.RFC3339, life.Termination.Ends)
			require.NoError(t, err)
			require.Equal(t, 600*time.Second, ends.Sub(begun))

			require.Empty(t, s.Want(204, "POST", e.at("confirm_termination"), isDone).Body)
			e.wantGone(s)
			e.wantToldOnce()
			require.Len(t, e.its.Receipts(), 1)
			s.Want(201, "POST", prefix+registrations, appInfo(app)) // and may come back
			s.Register(app, "n", 60).Beat()
		}
		counted(s, 2, `mep_applications_terminations_total{step="confirmed"}`)
		counted(s, 2, `mep_applications_terminations_total{step="finished"}`)
		logged(s, "termination confirmed")
	}
}

func TestWhoDoesNotConfirmInTimeIsRemoved(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"open", "registered"} {
		s := mep.Start(t, admission(of)...)
		e := begin(t, s, "", "a", 2)
		before := time.Now()
		s.Want(202, "DELETE", e.on("?graceful=3"), "")
		e.wantTold(3)
		wait.Until(t, "it is removed", func() bool { return s.State(e.services[0].ID) == "404" })
		require.GreaterOrEqual(t, time.Since(before), 3*time.Second, "it has its time")
		e.wantGone(s)
		e.wantToldOnce()
		require.Len(t, e.its.Receipts(), 1)
		counted(s, 1, `mep_applications_terminations_total{step="timed out"}`)
	}
}

func TestDeletingAtOnceEndsATermination(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, admission("open")...)
	e := begin(t, s, "", "a", 2)
	s.Want(202, "DELETE", e.on("?graceful=86400"), "")
	e.wantTold(86400)
	s.Want(204, "DELETE", e.on(""), "")
	for _, v := range e.services {
		require.Equal(t, "404", v.State(), "with the answer")
	}
	e.wantGone(s)
	e.wantToldOnce()
	s.Want(409, "POST", e.at("confirm_termination"), isDone)
	s.Want(404, "GET", lifePath+"/a", "")
}

// Whoever has nothing to be told by is given its time all the same, whether it registered or not.
func TestATerminationWaitsWhoeverSubscribed(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, admission("open")...)
	v := s.Register("silent", "n", 60)
	s.Want(404, "DELETE", registrations+"/silent", "")
	s.Want(404, "DELETE", registrations+"/nobody?graceful=5", "")
	s.Want(202, "DELETE", registrations+"/silent?graceful=600", "")
	require.False(t, seen(s, "silent").Registered)
	s.Want(404, "GET", registrations+"/silent", "")
	s.Want(404, "PUT", registrations+"/silent", appInfo("silent"))
	v.Beat()
	s.Kill()
	s.Restart()
	v.Beat()
	s.Want(409, "DELETE", registrations+"/silent?graceful=600", "")
	s.Want(204, "POST", mp1.AppSupportBase+"/applications/silent/confirm_termination", isDone)
	wait.Until(t, "it is gone", func() bool { return v.State() == "404" })
	wait.Until(t, "and nothing is kept of it", func() bool { return s.Do("GET", lifePath+"/silent", "").Status == 404 })
}

func TestReadinessIsKeptWithItsTime(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, admission("registered")...)
	for _, prefix := range []string{"", "/mep"} {
		at := func(app string) string {
			return prefix + mp1.AppSupportBase + "/applications/" + app + "/confirm_ready"
		}
		s.Want(404, "POST", at("stranger"), "this is no JSON")
		app := "app" + strings.TrimPrefix(prefix, "/")
		s.Want(201, "POST", registrations, appInfo(app))
		require.Empty(t, seen(s, app).Ready)
		s.Want(400, "POST", at(app), `{"indication":"SOON"}`)
		require.Empty(t, seen(s, app).Ready)
		before := time.Now().Add(-time.Millisecond) // it is told in milliseconds
		s.Want(204, "POST", at(app), isReady)
		first := seen(s, app).Ready
		when, err := time.Parse(time.RFC3339, first)
		require.NoError(t, err)
		require.WithinRange(t, when, before, time.Now())
		wait.Until(t, "it may be repeated, and the last one counts", func() bool {
			s.Want(204, "POST", at(app), isReady)
			return seen(s, app).Ready > first
		})
		last := seen(s, app)
		s.Kill()
		s.Restart()
		require.Equal(t, last, seen(s, app))
		s.Want(204, "POST", at("known"), isReady)
		require.False(t, seen(s, "known").Registered)
		s.Want(404, "GET", registrations+"/known", "")
	}
	var list struct {
		Applications []struct{ AppInstanceID string }
		Next         string
	}
	s.Want(200, "GET", lifePath+"?limit=2", "").Into(t, &list)
	require.Len(t, list.Applications, 2)
	require.Equal(t, "appmep", list.Next)
	s.Want(200, "GET", lifePath+"?after="+list.Next, "").Into(t, &list)
	require.Equal(t, "known", list.Applications[0].AppInstanceID)
}

// Where there are identities, only the application, its hosts and admins do any of it, and only
// readers and admins see it.
func TestOnlyTheOwnerAnswersForAnApplication(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, admission("open")...)
	owner, other, reader, admin := s.As(s.Add("a", "app")), s.As(s.Add("b", "app")), s.As(s.Add("r", "reader")), s.As(s.Add("boss", "admin"))
	host := s.As(s.AddHost("h", "a*"))
	ready, confirm, one := mp1.AppSupportBase+"/applications/a/confirm_ready", mp1.AppSupportBase+"/applications/a/confirm_termination", registrations+"/a"
	for _, r := range []*mep.Server{other, reader} {
		r.Want(403, "POST", ready, isReady)
		r.Want(403, "POST", confirm, isDone)
		r.Want(403, "DELETE", one+"?graceful=5", "")
	}
	s.Want(401, "POST", ready, isReady)
	owner.Want(201, "POST", registrations, appInfo("a"))
	for _, r := range []*mep.Server{owner, host, admin} {
		r.Want(204, "POST", ready, isReady)
		r.Want(202, "DELETE", one+"?graceful=600", "")
		other.Want(403, "POST", confirm, isDone)
		r.Want(204, "POST", confirm, isDone)
		r.Want(201, "POST", registrations, appInfo("a"))
	}
	for status, list := range map[int][]*mep.Server{200: {reader, admin}, 403: {owner, other, host}, 401: {s.Server}} {
		for _, r := range list {
			r.Want(status, "GET", lifePath, "")
			r.Want(status, "GET", lifePath+"/a", "")
		}
	}
	require.Equal(t, http.StatusOK, s.Admin("GET", lifePath+"/a", "").Status, "and by the admin socket")
}

// Wherever the process is killed, what was begun is carried through when it is there again: never
// a half of it, and nobody is told under two ids.
func TestATerminationIsCarriedThroughWhereverTheProcessIsKilled(t *testing.T) {
	tier.Long(t, "test/e2e", "kills a process at each step of a termination")
	t.Parallel()
	confirmed := []string{"termination.begun", "post.before", "cursor.before", "termination.confirmed", "removal.begins", "DELETE.after-txn", "removal.ends"}
	overdue := []string{"termination.begun", "post.before", "cursor.before", "termination.over", "removal.begins", "DELETE.after-txn", "removal.ends"}
	for i, point := range append(confirmed, overdue...) {
		confirms, of := i < len(confirmed), []string{"open", "registered"}[i%2]
		t.Run(fmt.Sprint(point, " confirmed ", confirms, " ", of), func(t *testing.T) {
			t.Parallel()
			killAt(t, point, confirms, admission(of))
		})
	}
}

func killAt(t *testing.T, point string, confirms bool, env []string) {
	s := mep.Options{Binary: mep.FailpointBinary(t), Env: env}.Start(t)
	e := begin(t, s, "", "a", 3)
	s.Kill()
	s.Env = append(slices.Clone(env), "MEP_FAILPOINTS="+point+"=exit")
	s.Restart()
	s.Env = env
	reached := false
	goesOn := func() bool { // as under whatever watches over the process
		if s.Ended() {
			reached = true
			s.Restart()
		}
		return reached
	}
	again := func(method, path, body string, want ...int) { // until it is answered
		t.Helper()
		wait.Until(t, method+" "+path, func() bool {
			goesOn()
			a, err := s.Try(method, path, body)
			return err == nil && slices.Contains(want, a.Status)
		})
	}
	seconds := 600
	if !confirms {
		seconds = 3
	}
	again("DELETE", e.on(fmt.Sprint("?graceful=", seconds)), "", 202, 409)
	wait.Until(t, "the application is told", func() bool { goesOn(); return len(e.its.Receipts()) > 0 })
	e.wantTold(seconds)
	if confirms {
		again("POST", e.at("confirm_termination"), isDone, 204, 404, 409)
	}
	wait.Until(t, "the point is reached", goesOn)
	e.wantGone(s)
	e.wantToldOnce()
	wait.Until(t, "nothing is kept", func() bool { return s.Do("GET", lifePath+"/a", "").Status == 404 })
	require.Contains(t, e.its.Last().Body, "AppTerminationNotification")
}
