package contract

import (
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	statePath    = mp1.LivenessBase + "/state"
	oneStatePath = statePath + "/{serInstanceId}"
	storePath    = mp1.LivenessBase + "/store"
)

// state asks everything of how services are.
func (j *checker) state(s *mep.Server) {
	for _, app := range []string{"state1", "state2"} {
		path := string(self.FindSubmatch(j.do(s, 201, "POST", mp1.Base+"/applications/"+app+"/services", service).Body)[1])
		j.do(s, 204, "PATCH", path+"/liveness", beat)
	}
	var page struct {
		Services []struct {
			SerInstanceID string `json:"serInstanceId"`
		} `json:"services"`
		Next string `json:"next"`
	}
	for _, prefix := range []string{"", "/mep"} {
		at := prefix + statePath
		j.do(s, 200, "GET", at, "")
		j.do(s, 200, "GET", at+"?state=ACTIVE,SUSPENDED&late=false&drained=false&app=state1&name=N&limit=1000", "")
		j.do(s, 200, "GET", at+"?limit=1", "").Into(j.t, &page)
		require.Len(j.t, page.Services, 1)
		j.do(s, 200, "GET", at+"?limit=1&after="+page.Next, "")
		for _, bad := range []string{"state=DEAD", "late=1", "drained=", "app=a%2Fb", "limit=0", "deliveries=1", "after=x", "stat=ACTIVE", "name=a&name=b"} {
			j.bad(s, 400, "GET", at+"?"+bad, "")
		}
		j.do(s, 200, "GET", at+"/"+page.Services[0].SerInstanceID, "")
		j.bad(s, 400, "GET", at+"/"+page.Services[0].SerInstanceID+"?x=1", "")
		j.do(s, 404, "GET", at+"/"+none, "")
		j.do(s, 200, "GET", at+"?deliveries=true", "")
		j.do(s, 200, "GET", prefix+mp1.ChangesPath+"?limit=2&since=2026-01-02T03:04:05.6Z", "")
		for _, bad := range []string{"limit=2001", "since=yesterday", "since=", "until=x"} {
			j.bad(s, 400, "GET", prefix+mp1.ChangesPath+"?"+bad, "")
		}
		j.do(s, 200, "GET", prefix+storePath, "")
		j.bad(s, 400, "GET", prefix+storePath+"?x=1", "")
	}
}
