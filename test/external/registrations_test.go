package external

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
)

// What one replica registered, changed or removed the others see; an application
// that left is admitted nowhere, and what it had is gone everywhere.
func TestReplicasShareTheRegistrationsOfApplications(t *testing.T) {
	t.Setenv("MEP_APPLICATIONS_ADMISSION", "registered")
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	body := mep.Info("n", 1)
	shown := func(r *mep.Replica) bool { all, err := r.Discover(); return err == nil && len(all) > 0 }
	const registrations, services = "/mec_app_support/v1/registrations", mep.Base + "/applications/app/services"
	want := func(r *mep.Replica, status int, method, path, body string) {
		t.Helper()
		got, answer := do(t, r, method, path, body)
		require.Equal(t, status, got, "%s", answer)
	}
	want(a, http.StatusNotFound, "POST", services, body)
	want(b, http.StatusNotFound, "POST", services, body)
	want(a, http.StatusCreated, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	want(b, http.StatusConflict, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	eventually(t, "admitted by the other, which believes for a second that it is unknown", func() bool {
		status, _ := do(t, b, "POST", services, body)
		return status == http.StatusCreated
	})
	want(a, http.StatusCreated, "POST", services, body)
	want(b, http.StatusNoContent, "PUT", registrations+"/app", `{"appName":"m"}`)
	eventually(t, "the change is seen", func() bool {
		_, answer := do(t, a, "GET", registrations+"/app", "")
		return string(answer) == "{\"appName\":\"m\",\"appInstanceId\":\"app\"}\n"
	})
	eventually(t, "both services are seen by both", func() bool { return shown(a) && shown(b) })
	want(b, http.StatusNoContent, "DELETE", registrations+"/app", "")
	for _, r := range []*mep.Replica{a, b} {
		eventually(t, "not admitted any more", func() bool {
			status, _ := do(t, r, "POST", services, body)
			return status == http.StatusNotFound
		})
		eventually(t, "all is gone", func() bool { return !shown(r) })
		want(r, http.StatusNotFound, "GET", registrations+"/app", "")
	}
}
