package contract

import (
	"testing"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// What is said beside MEC 011 under compat: edgegallery is described too.
func TestAnswersToEdgeGallerysClientsAreAsDescribed(t *testing.T) {
	j, s := newChecker(t), mep.Start(t, "MEP_COMPAT=edgegallery")
	base := "/mep" + mp1.Base
	mine := base + "/applications/app/services"
	path := string(self.FindSubmatch(j.do(s, 201, "POST", mine, service).Body)[1])
	j.do(s, 201, "POST", mine, byID)
	j.do(s, 200, "PUT", path, service)
	for _, at := range []string{path, mine, base + "/services", base + "/transports"} {
		j.do(s, 200, "GET", at, "")
	}
	for of, body := range map[string]string{base: subscription, "/mep" + mp1.AppSupportBase: termination} {
		all := of + "/applications/app/subscriptions"
		j.do(s, 404, "GET", all, "")
		one := j.do(s, 201, "POST", all, body).Header.Get("Location")
		j.do(s, 200, "GET", one, "")
		j.do(s, 200, "GET", all, "")
	}
	j.bad(s, 200, "GET", base+"/services?instance_id=x", "")
}
