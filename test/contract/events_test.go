package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// events asks the event stream, whose answer ends only when somebody ends it.
func (j *checker) events(s *mep.Server) {
	openapi3filter.RegisterBodyDecoder(mp1.EventStreamType, openapi3filter.RegisteredBodyDecoder("text/plain"))
	mine := mep.ServicesOf("streamed")
	at := string(self.FindSubmatch(j.do(s, 201, "POST", mine, service).Body)[1])
	id := at[strings.LastIndexByte(at, '/')+1:]
	for _, prefix := range []string{"", "/mep"} {
		path := prefix + mp1.EventsPath
		j.bad(s, 400, "GET", path+"?unknown=1", "")
		j.do(s, 406, "GET", path, "", "Accept", "application/json")
		j.stream(s, path+"?ser_instance_id="+id, func() {
			j.do(s, 200, "PUT", at, strings.Replace(service, "ACTIVE", "INACTIVE", 1))
			j.do(s, 200, "PUT", at, service)
		}, mp1.ResetEvent, mp1.ChangeEvent, mp1.ChangeEvent)
	}
	j.do(s, 204, "DELETE", at, "")
}

// stream reads events of these kinds, holds them against the document, and has then begun once
// the first is there.
func (j *checker) stream(s *mep.Server, path string, begun func(), kinds ...string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	require.NoError(j.t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(j.t, err)
	defer func() { _ = res.Body.Close() }()
	var body strings.Builder
	var got []string
	for lines := bufio.NewReader(res.Body); len(got) < len(kinds); {
		line, err := lines.ReadString('\n')
		require.NoError(j.t, err, body.String())
		body.WriteString(line)
		if kind, is := strings.CutPrefix(line, "event: "); is {
			got = append(got, strings.TrimSpace(kind))
		}
		if data, is := strings.CutPrefix(line, "data: "); is {
			j.data(got[len(got)-1], data)
			if len(got) == 1 {
				begun()
			}
		}
	}
	require.Equal(j.t, kinds, got)
	j.check(http.MethodGet, path, "", http.Header{}, true, mep.Answer{Status: res.StatusCode, Header: res.Header, Body: []byte(body.String())})
}

// data holds the data of an event against its schema.
func (j *checker) data(kind, text string) {
	j.t.Helper()
	var v map[string]any
	require.NoError(j.t, json.Unmarshal([]byte(text), &v))
	name := map[string]string{mp1.ChangeEvent: "ServiceChange", mp1.ResetEvent: "ServiceReset", mp1.PingEvent: "ServicePing"}[kind]
	schema := j.doc.Components.Schemas[name].Value
	require.NoError(j.t, schema.VisitJSON(v), text)
	for member := range v {
		require.Contains(j.t, schema.Properties, member, "the document does not know it")
	}
}
