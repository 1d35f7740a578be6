package contract

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// heartbeats sends many at once, of which each is answered for itself.
func (j *checker) heartbeats(s *mep.Server) {
	path := string(self.FindSubmatch(j.do(s, 201, "POST", mp1.Base+"/applications/many1/services", service).Body)[1])
	id := path[strings.LastIndexByte(path, '/')+1:]
	one := fmt.Sprintf(`{"appInstanceId":"many1","serInstanceId":%q}`, id)
	for _, prefix := range []string{"", "/mep"} {
		at := prefix + mp1.HeartbeatsPath
		answer := j.do(s, 200, "POST", at, `{"heartbeats":[`+one+`,{"serInstanceId":"`+none+`","appInstanceId":"many1"},{"appInstanceId":"many2","serInstanceId":"`+id+`"},`+
			`{"appInstanceId":"a b","serInstanceId":"`+id+`"},{"appInstanceId":"many1","serInstanceId":"<é\n>"},`+one+`]}`)
		var got mp1.HeartbeatResults
		require.NoError(j.t, json.Unmarshal(answer.Body, &got))
		var statuses []int
		for _, r := range got.Results {
			statuses = append(statuses, r.Status)
			require.Equal(j.t, r.Status != 204, r.Detail != "", r)
		}
		require.Equal(j.t, []int{204, 404, 403, 404, 404, 204}, statuses, string(answer.Body))
		require.Equal(j.t, "<é\n>", got.Results[4].SerInstanceID)
		for _, bad := range []string{`{"heartbeats":[]}`, `{}`, `{"heartbeats":{}}`, `{"heartbeats":["a"]}`, `{"heartbeats":[{"appInstanceId":"a"}]}`,
			`{"heartbeats":[{"appInstanceId":"a","serInstanceId":1}]}`, `{"heartbeats":[` + strings.Repeat(one+",", 1000) + one + `]}`} {
			j.bad(s, 400, "POST", at, bad)
		}
		j.bad(s, 400, "POST", at+"?x=1", `{"heartbeats":[`+one+`]}`)
		j.bad(s, 413, "POST", at, strings.Repeat(" ", 330<<10))
		j.bad(s, 415, "POST", at, "x", "Content-Type", "text/plain")
	}
	j.do(s, 204, "DELETE", path, "")
}
