package external

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	lives         = mp1.LivenessBase + "/applications/"
	registrations = mp1.AppSupportBase + "/registrations/"
	confirmation  = `{"operationAction":"TERMINATING"}`
)

// ending is an application with services, which is told of its termination; told is where a
// consumer is told of its services.
type ending struct {
	t         *testing.T
	app       string
	services  []string
	its, told *consumer.Consumer
}

func begin(t *testing.T, s *mep.Server, app string) *ending {
	t.Helper()
	e := &ending{t: t, app: app, its: consumer.Start(t), told: consumer.Start(t)}
	s.Want(http.StatusCreated, "POST", mp1.AppSupportBase+"/registrations", fmt.Sprintf(`{"appName":"n","appInstanceId":%q}`, app))
	s.Subscribe("watcher-"+app, e.told.URL, `{"serNames":["`+app+`"]}`)
	for range 5 {
		e.services = append(e.services, s.Register(app, app, 60).ID)
	}
	s.Want(http.StatusCreated, "POST", mp1.AppSupportBase+"/applications/"+app+"/subscriptions",
		fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q,"appInstanceId":%q}`, mp1.TerminationSubscriptionType, e.its.URL, app))
	return e
}

// wantTold waits until the application was told.
func (e *ending) wantTold() {
	e.t.Helper()
	wait.Until(e.t, "the application is told", func() bool { return len(e.its.Receipts()) > 0 })
}

func (e *ending) confirm(s *mep.Server) {
	e.t.Helper()
	s.Want(http.StatusNoContent, "POST", mp1.AppSupportBase+"/applications/"+e.app+"/confirm_termination", confirmation)
}

// wantEnded waits until all that it had is gone at a replica, and everybody was told of it once.
func (e *ending) wantEnded(s *mep.Server) {
	e.t.Helper()
	for _, id := range e.services {
		wait.Until(e.t, "its services are gone", func() bool { return s.State(id) == "404" })
	}
	removals := func() (n int, ids map[string]map[string]bool) {
		ids = map[string]map[string]bool{}
		for _, got := range e.told.Receipts() {
			for _, r := range got.ServiceReferences {
				if r.ChangeType == mp1.Removed {
					if ids[r.SerInstanceID] == nil {
						ids[r.SerInstanceID] = map[string]bool{}
					}
					ids[r.SerInstanceID][got.ID] = true
				}
			}
		}
		return len(ids), ids
	}
	wait.Until(e.t, "its consumer is told", func() bool { n, _ := removals(); return n == len(e.services) })
	_, ids := removals()
	for service, under := range ids {
		require.Len(e.t, under, 1, service)
	}
	under := map[string]bool{}
	for _, got := range e.its.Receipts() {
		under[got.ID] = true
	}
	require.Len(e.t, under, 1, "one termination has one id, whoever sends it")
	require.Empty(e.t, e.its.Faults())
}

// wantNothingKept waits until nothing is kept of an application, twenty seconds after its end
// where it had to register.
func wantNothingKept(t *testing.T, s *mep.Server, apps ...string) {
	t.Helper()
	for _, app := range apps {
		wait.Until(t, "nothing is kept of it", func() bool { return s.Do("GET", lives+app, "").Status == http.StatusNotFound })
	}
}

// A termination belongs to no replica: it may begin at one and be confirmed at another, whichever
// is killed in between.
func TestATerminationGoesOnAtAnyReplica(t *testing.T) {
	for _, admission := range []string{"open", "registered"} {
		t.Run(admission, func(t *testing.T) {
			t.Setenv("MEP_APPLICATIONS_ADMISSION", admission)
			t.Setenv("MEP_APPLICATIONS_KNOWN", "watcher-both,watcher-first,watcher-second,watcher-late")
			c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
			a, b := start(t, c), start(t, c)

			e := begin(t, a, "both")
			a.Want(http.StatusAccepted, "DELETE", registrations+"both?graceful=600", "")
			b.Want(http.StatusConflict, "DELETE", registrations+"both?graceful=600", "")
			e.wantTold()
			e.confirm(b)
			e.wantEnded(a)

			e = begin(t, a, "first") // the replica that began it is killed
			a.Want(http.StatusAccepted, "DELETE", registrations+"first?graceful=600", "")
			a.Kill()
			e.wantTold()
			e.confirm(b)
			e.wantEnded(b)
			a.Restart()

			e = begin(t, a, "second") // so is the one where it was confirmed
			b.Want(http.StatusAccepted, "DELETE", registrations+"second?graceful=600", "")
			e.wantTold()
			e.confirm(b)
			b.Kill()
			e.wantEnded(a)
			b.Restart()

			e = begin(t, a, "late") // and the time is over at whoever is left
			before := time.Now()
			a.Want(http.StatusAccepted, "DELETE", registrations+"late?graceful=4", "")
			e.wantTold()
			a.Kill()
			wait.Until(t, "its time is over", func() bool { return b.State(e.services[0]) == "404" })
			require.GreaterOrEqual(t, time.Since(before), 4*time.Second)
			e.wantEnded(b)
			wantNothingKept(t, b, "both", "first", "second", "late")
		})
	}
}

// Both replicas find the time over at about the same moment; one of them ends it.
func TestOneReplicaEndsTheTimeOfATermination(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	const n = 8
	var all []*ending
	for i := range n {
		e := begin(t, a, fmt.Sprint("app", i))
		a.Want(http.StatusAccepted, "DELETE", registrations+e.app+"?graceful=2", "")
		all = append(all, e)
	}
	for _, e := range all {
		e.wantEnded(a)
		e.wantEnded(b)
		wantNothingKept(t, b, e.app)
	}
	for _, step := range []string{"timed out", "finished"} {
		counted(t, n, fmt.Sprintf(`mep_applications_terminations_total{step=%q}`, step), a, b)
	}
}
