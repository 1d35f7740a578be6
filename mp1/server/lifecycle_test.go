package server

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func newFakeRegistrations() *fakeRegistrations {
	return &fakeRegistrations{apps: map[string]mp1.AppInfo{"app": {AppName: "n", AppInstanceID: "app"}}, ready: map[string]bool{}, timeouts: map[string]uint32{}}
}

func TestAnApplicationSaysThatItIsReady(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		b := newFakeRegistrations()
		at := prefix + mp1.AppSupportBase + "/applications/app/confirm_ready"
		require.Equal(t, 400, b.call("POST", at, `{"indication":"SOON"}`).Code)
		require.Empty(t, b.ready, "nothing is stored of what is refused")
		for range 2 {
			w := b.call("POST", at, `{"indication":"READY"}`)
			require.Equal(t, 204, w.Code)
			require.Zero(t, w.Body.Len())
		}
		require.True(t, b.ready["app"])
		require.Equal(t, 404, b.call("POST", prefix+mp1.AppSupportBase+"/applications/stranger/confirm_ready", "no JSON").Code, "existence comes before the body")
		require.Equal(t, 415, b.call("POST", at, "x", "Content-Type", "text/xml").Code)
		require.Equal(t, 400, b.call("POST", at+"?x=y", `{"indication":"READY"}`).Code)
		w := b.call("GET", at, "")
		require.Equal(t, 405, w.Code)
		require.Equal(t, "POST", w.Header().Get("Allow"))
		b.timeouts["app"] = 5
		require.Equal(t, 409, b.call("POST", at, `{"indication":"READY"}`).Code)
		b.timeouts, b.err = nil, heartbeat.ErrFull
		require.Equal(t, 507, b.call("POST", at, `{"indication":"READY"}`).Code)
	}
}

func TestAnApplicationConfirmsItsTermination(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		b := newFakeRegistrations()
		at := prefix + mp1.AppSupportBase + "/applications/app/confirm_termination"
		w := b.call("POST", at, `{"operationAction":"TERMINATING"}`)
		require.Equal(t, 409, w.Code)
		require.Contains(t, w.Body.String(), "nothing to confirm")
		b.timeouts["app"] = 5
		require.Equal(t, 400, b.call("POST", at, `{"operationAction":"STOPPING"}`).Code, "it was told another")
		require.Equal(t, 400, b.call("POST", at, `{"operationAction":"GOING"}`).Code)
		require.Equal(t, 400, b.call("POST", at, ``).Code)
		w = b.call("POST", at, `{"operationAction":"TERMINATING"}`)
		require.Equal(t, 204, w.Code)
		require.Zero(t, w.Body.Len())
		require.Equal(t, 404, b.call("POST", prefix+mp1.AppSupportBase+"/applications/stranger/confirm_termination", "no JSON").Code, "existence comes before the body")
	}
}

func TestDeletingGracefullyIsAcceptedAndBegins(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		b := newFakeRegistrations()
		one := prefix + mp1.AppSupportBase + "/registrations/app"
		etag := b.call("GET", one, "").Header().Get("ETag")
		for _, query := range []string{"graceful=0", "graceful=86401", "graceful=x", "graceful", "graceful=5&graceful=5", "graceful=5&x=1", "x=1", "Graceful=5"} {
			require.Equal(t, 400, b.call("DELETE", one+"?"+query, "").Code, query)
		}
		require.Equal(t, 412, b.call("DELETE", one+"?graceful=7", "", "If-Match", `"x"`).Code)
		require.Empty(t, b.timeouts)
		w := b.call("DELETE", one+"?graceful=7", "", "If-Match", etag)
		require.Equal(t, 202, w.Code)
		require.Zero(t, w.Body.Len())
		require.EqualValues(t, 7, b.timeouts["app"])
		w = b.call("DELETE", one+"?graceful=7", "")
		require.Equal(t, 409, w.Code)
		require.Contains(t, w.Body.String(), "without graceful", "it says what to do")
		require.Equal(t, 200, b.call("GET", one, "").Code, "it is there until it confirms")
		require.Equal(t, 400, b.call("GET", one+"?graceful=7", "").Code, "only DELETE takes it")
		require.Equal(t, 404, b.call("DELETE", fmt.Sprint(prefix, mp1.AppSupportBase, "/registrations/none?graceful=7"), "").Code)
		require.Equal(t, 204, b.call("DELETE", one, "").Code, "at once, also meanwhile")
	}
}
