package contract

import (
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	lifePath = mp1.LivenessBase + "/applications"
	isReady  = `{"indication":"READY"}`
	isDone   = `{"operationAction":"TERMINATING"}`
)

// life asks everything that an application answers in its life.
func (j *checker) life(s *mep.Server, base string) {
	one := j.do(s, 201, "POST", base+"/registrations", app).Header.Get("Location")
	ready, confirm := base+"/applications/app/confirm_ready", base+"/applications/app/confirm_termination"
	for at, body := range map[string]string{ready: isReady, confirm: isDone} {
		j.bad(s, 400, "POST", at, "{}")
		j.bad(s, 400, "POST", at+"?x=1", body)
		j.bad(s, 413, "POST", at, strings.Repeat(" ", 70000))
		j.bad(s, 415, "POST", at, "x", "Content-Type", "text/plain")
	}
	j.do(s, 204, "POST", ready, isReady)
	j.do(s, 204, "POST", ready, isReady)
	j.bad(s, 204, "POST", ready, `{"AppReadyConfirmation":`+isReady+`}`)
	j.do(s, 409, "POST", confirm, isDone)
	j.bad(s, 400, "DELETE", one+"?graceful=0", "")
	j.do(s, 412, "DELETE", one+"?graceful=60", "", "If-Match", `"x"`)
	j.do(s, 202, "DELETE", one+"?graceful=60", "")
	j.do(s, 409, "DELETE", one+"?graceful=60", "")
	j.do(s, 409, "POST", ready, isReady)
	j.do(s, 400, "POST", confirm, `{"operationAction":"STOPPING"}`)
	j.do(s, 200, "GET", lifePath+"/app", "")
	j.do(s, 204, "POST", confirm, isDone)
}

// lives asks everything of what administrators see of them.
func (j *checker) lives(s *mep.Server) {
	for _, id := range []string{"l1", "l2"} {
		j.do(s, 201, "POST", mp1.AppSupportBase+"/registrations", strings.Replace(app, `"app"`, `"`+id+`"`, 1))
	}
	j.do(s, 200, "GET", lifePath+"?limit=1", "")
	j.do(s, 200, "GET", "/mep"+lifePath+"?limit=1", "")
	j.do(s, 200, "GET", "/mep"+lifePath+"/l1", "")
	j.do(s, 200, "GET", lifePath+"?after=l1", "")
	j.bad(s, 400, "GET", lifePath+"?limit=0", "")
	j.do(s, 200, "GET", lifePath+"/l1", "")
	j.do(s, 404, "GET", lifePath+"/none", "")
	j.bad(s, 400, "GET", lifePath+"/l1?x=1", "")
}
