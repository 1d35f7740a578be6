package site

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/wait"
)

// notification is what a consumer is told of one service.
type notification struct {
	ServiceReferences []struct{ SerInstanceID, SerName, State, ChangeType string }
}

// Blocker 5: an application that falls silent is SUSPENDED: who subscribed is told, once, and who
// discovers sees it behind those that live, with its owner. The gateway goes on leading to it. A
// heartbeat brings it back. The interval is the operator's, by variables beside the chart's.
func TestWhoFallsSilentIsSuspendedAndComesBack(t *testing.T) {
	const interval = 2 * time.Second
	p := newPlatform(t)
	p.set("MEP_LIVENESS_MIN_INTERVAL=2s", "MEP_LIVENESS_DEFAULT_INTERVAL=2s", "MEP_LIVENESS_MAX_INTERVAL=2s")
	p.start()
	p.mepauth.Require(viewer, "sampleapp")
	p.mepauth.Require(camera)

	s := p.post(camera, posted)
	require.EqualValues(t, interval/time.Second, s.LivenessInterval)
	later := p.post(viewer, strings.Replace(posted, `"livenessInterval":10`, `"livenessInterval":0`, 1))
	told := p.subscribe(viewer)
	wait.Until(t, "the gateway to lead to both", func() bool { return len(p.kong.Entries()) == 2 })
	beat := func() (sent time.Time) {
		sent = time.Now()
		p.want(http.StatusNoContent, "PUT", gateway+s.Links.Self.Liveness, `{"state":"ACTIVE"}`, p.bearer(camera)...)
		return sent
	}
	last := beat()
	for time.Since(last) < 3*interval { // it lives as long as it is heard
		require.Equal(t, []string{s.SerInstanceID + " ACTIVE", later.SerInstanceID + " ACTIVE"}, states(p.discovered(viewer, "sampleapp")))
		beat()
		time.Sleep(interval / 4)
	}

	last = beat()
	want := []string{later.SerInstanceID + " ACTIVE", s.SerInstanceID + " SUSPENDED"}
	var found []service
	wait.Until(t, "silence to be noticed", func() bool {
		found = p.discovered(viewer, "sampleapp")
		return states(found)[0] == want[0]
	})
	require.GreaterOrEqual(t, time.Since(last), 2*interval, "one heartbeat may be missed")
	t.Logf("SUSPENDED %v after its last heartbeat", time.Since(last))
	require.Equal(t, want, states(found))
	require.Equal(t, camera, found[1].Links.AppInstanceID)
	require.Contains(t, found[1].TransportInfo.Endpoint.URIs[0], "https://mep-api-gw.mep:8443/")
	var shown []service
	p.want(http.StatusOK, "GET", around+mp1+"/services", "").into(t, &shown)
	require.Equal(t, want, states(shown), "the portal shows the dead")
	require.Equal(t, camera, shown[1].Links.AppInstanceID)
	require.Len(t, p.kong.Entries(), 2)

	hear := func(state string) {
		t.Helper()
		select {
		case n := <-told:
			require.Len(t, n.ServiceReferences, 1)
			require.Equal(t, []string{s.SerInstanceID, "sampleapp", state, "STATE_CHANGED"},
				[]string{n.ServiceReferences[0].SerInstanceID, n.ServiceReferences[0].SerName, n.ServiceReferences[0].State, n.ServiceReferences[0].ChangeType})
		case <-time.After(time.Minute):
			t.Fatalf("nobody was told of %s", state)
		}
	}
	hear("SUSPENDED")
	beat()
	require.Equal(t, []string{s.SerInstanceID + " ACTIVE", later.SerInstanceID + " ACTIVE"}, states(p.discovered(viewer, "sampleapp")), "at once")
	hear("ACTIVE")
}

// subscribe has an application be told of changes, through the gateway, and returns what it is told.
func (p *platform) subscribe(app string) <-chan notification {
	p.t.Helper()
	told := make(chan notification, 64)
	listen(p.t, primary+":9502", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n notification
		if json.NewDecoder(r.Body).Decode(&n) == nil {
			select {
			case told <- n:
			default:
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	p.want(http.StatusCreated, "POST", gateway+mp1+"/applications/"+app+"/subscriptions",
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://`+primary+`:9502/changes","filteringCriteria":{"serNames":["sampleapp"]}}`, p.bearer(app)...)
	return told
}

// states are services and their states, in their order.
func states(all []service) (out []string) {
	for _, s := range all {
		out = append(out, s.SerInstanceID+" "+s.State)
	}
	return out
}
