package external

import (
	"net/http"
	"testing"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// What one replica registered, changed or removed the others see; an application
// that left is admitted nowhere, and what it had is gone everywhere.
func TestReplicasShareTheRegistrationsOfApplications(t *testing.T) {
	t.Setenv("MEP_APPLICATIONS_ADMISSION", "registered")
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	body := mep.Info("n", 1)
	shown := func(r *mep.Server) bool { all, err := r.Discover(); return err == nil && len(all) > 0 }
	const registrations, services = mp1.AppSupportBase + "/registrations", mep.Base + "/applications/app/services"
	a.Want(http.StatusNotFound, "POST", services, body)
	b.Want(http.StatusNotFound, "POST", services, body)
	a.Want(http.StatusCreated, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	b.Want(http.StatusConflict, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	wait.Until(t, "admitted by the other, which believes for a second that it is unknown", func() bool {
		return b.Do("POST", services, body).Status == http.StatusCreated
	})
	a.Want(http.StatusCreated, "POST", services, body)
	b.Want(http.StatusNoContent, "PUT", registrations+"/app", `{"appName":"m"}`)
	wait.Until(t, "the change is seen", func() bool {
		return string(a.Do("GET", registrations+"/app", "").Body) == "{\"appName\":\"m\",\"appInstanceId\":\"app\"}\n"
	})
	wait.Until(t, "both services are seen by both", func() bool { return shown(a) && shown(b) })
	b.Want(http.StatusNoContent, "DELETE", registrations+"/app", "")
	for _, r := range []*mep.Server{a, b} {
		wait.Until(t, "not admitted any more", func() bool {
			return r.Do("POST", services, body).Status == http.StatusNotFound
		})
		wait.Until(t, "all is gone", func() bool { return !shown(r) })
		r.Want(http.StatusNotFound, "GET", registrations+"/app", "")
	}
}
