package external

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// What one replica registered, changed or removed the others see; an application
// that left is admitted nowhere, and what it had is gone everywhere.
func TestReplicasShareTheRegistrationsOfApplications(t *testing.T) {
	t.Setenv("MEP_APPLICATIONS_ADMISSION", "registered")
	endpoint, binary := etcd(t), build(t)
	a, b := start(t, binary, endpoint), start(t, binary, endpoint)
	const registrations, services = "/mec_app_support/v1/registrations", base + "/applications/app/services"
	want := func(r *replica, status int, method, path, body string) {
		t.Helper()
		got, answer := r.do(method, path, body)
		require.Equal(t, status, got, "%s", answer)
	}
	want(a, http.StatusNotFound, "POST", services, body)
	want(b, http.StatusNotFound, "POST", services, body)
	want(a, http.StatusCreated, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	want(b, http.StatusConflict, "POST", registrations, `{"appName":"n","appInstanceId":"app"}`)
	eventually(t, "admitted by the other, which believes for a second that it is unknown", func() bool {
		status, _ := b.do("POST", services, body)
		return status == http.StatusCreated
	})
	want(a, http.StatusCreated, "POST", services, body)
	want(b, http.StatusNoContent, "PUT", registrations+"/app", `{"appName":"m"}`)
	eventually(t, "the change is seen", func() bool {
		_, answer := a.do("GET", registrations+"/app", "")
		return string(answer) == "{\"appName\":\"m\",\"appInstanceId\":\"app\"}\n"
	})
	eventually(t, "both services are seen by both", func() bool { return a.discovered() && b.discovered() })
	want(b, http.StatusNoContent, "DELETE", registrations+"/app", "")
	for _, r := range []*replica{a, b} {
		eventually(t, "not admitted any more", func() bool {
			status, _ := r.do("POST", services, body)
			return status == http.StatusNotFound
		})
		eventually(t, "all is gone", func() bool { return !r.discovered() })
		want(r, http.StatusNotFound, "GET", registrations+"/app", "")
	}
}
