package contract

import (
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

const drainPath = mp1.LivenessBase + "/services/{serInstanceId}/drain"

// ofDrains says whether an answer to administrators is one of a starting program or of a broken store.
func ofDrains(pattern, status string) bool {
	return strings.HasSuffix(pattern, drainPath) && (status == "503" || status == "507")
}

// drains takes a service out of use, and gives it back.
func (j *checker) drains(s *mep.Server) {
	path := string(self.FindSubmatch(j.do(s, 201, "POST", mp1.Base+"/applications/drain1/services", service).Body)[1])
	id := path[strings.LastIndexByte(path, '/')+1:]
	for _, prefix := range []string{"", "/mep"} {
		at := prefix + strings.Replace(drainPath, "{serInstanceId}", id, 1)
		j.do(s, 409, "DELETE", at, "")
		j.do(s, 200, "PUT", at, `{"reason":"disk is replaced"}`)
		j.bad(s, 400, "PUT", at, `{"reason":""}`)
		j.bad(s, 400, "PUT", at+"?x=1", `{"reason":"a"}`)
		j.bad(s, 413, "PUT", at, strings.Repeat(" ", 5000))
		j.bad(s, 415, "PUT", at, "x", "Content-Type", "text/plain")
		j.do(s, 409, "PATCH", path+"/liveness", beat)
		j.do(s, 409, "PUT", path, service)
		j.do(s, 200, "GET", path+"/liveness", "")
		j.bad(s, 400, "DELETE", at+"?x=1", "")
		j.do(s, 200, "DELETE", at, "")
		j.do(s, 204, "PATCH", path+"/liveness", beat)
		j.do(s, 404, "PUT", prefix+strings.Replace(drainPath, "{serInstanceId}", none, 1), `{"reason":"a"}`)
		j.do(s, 404, "DELETE", prefix+strings.Replace(drainPath, "{serInstanceId}", none, 1), "")
	}
	j.do(s, 204, "DELETE", path, "")
}
