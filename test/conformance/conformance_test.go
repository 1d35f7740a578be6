// Package conformance runs the test purposes of ETSI GS MEC-DEC 032 for MEC 011, each
// a Go test named by its id, against the built program, and the behaviours that no
// ETSI test covers (TestOWN_...). It knows the wire and nothing of the program's inside;
// docs/conformance.md is its result.
//
// It needs nothing but Go and a quarter of a minute, and is part of go test ./... After a
// change of a test purpose:
//
//	go test ./test/conformance -update # writes docs/conformance.md
package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

var (
	update = flag.Bool("update", false, "write docs/conformance.md instead of comparing it")

	shared *mep.Server
)

// settings: the quickest detection there is; applications must register, for the suite asks on
// behalf of unknown ones; and there are sources of time to tell of.
var settings = append([]string{"MEP_APPLICATIONS_ADMISSION=registered",
	"MEP_TIMING_NTP_SERVERS=ntp.example minpoll 4 maxpoll 17,192.0.2.1 priority 2 key 7", "MEP_TIMING_PTP_MASTERS=2001:db8::1 rate 10"}, mep.Fast...)

// hostsFile is what the platform's driver of DNS rules writes.
func hostsFile() string { return filepath.Join(filepath.Dir(mep.Binary()), "hosts") }

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run runs the suite against one platform and writes its result.
func run(m *testing.M) int {
	flag.Parse()
	remove, err := mep.Build()
	if err == nil {
		defer remove()
		env := slices.Concat(settings, []string{"MEP_RULES_DNS_DRIVER=hosts", "MEP_RULES_DNS_HOSTS_FILE=" + hostsFile()})
		shared, err = mep.Options{DataDir: filepath.Join(filepath.Dir(mep.Binary()), "data"), Env: env}.Launch()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Kill()
	code := m.Run()
	if err := report(code == 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// platform is the platform under test for one test purpose, with an application that
// is registered there. text and clause go into the result table.
type platform struct {
	*mep.Server
	t   *testing.T
	app string
}

func begin(t *testing.T, clause, text string) *platform {
	t.Helper()
	note(t, clause, text)
	return with(t, shared.For(t))
}

func with(t *testing.T, s *mep.Server) *platform {
	t.Helper()
	p := &platform{Server: s, t: t}
	r := p.want(http.StatusCreated, "POST", mp1.AppSupportBase+"/registrations", `{"appName":"`+strings.ToLower(t.Name())+`"}`)
	p.app = r.Object(t)["appInstanceId"].(string)
	return p
}

// want sends a request and checks the status, and what holds for every answer: JSON
// on success, ProblemDetails on refusal, nothing with 202 and 204.
func (p *platform) want(status int, method, path, body string, header ...string) mep.Answer {
	p.t.Helper()
	r := p.Want(status, method, path, body, header...)
	switch {
	case status == http.StatusNoContent, status == http.StatusAccepted:
		require.Empty(p.t, r.Body)
	case status < http.StatusMultipleChoices:
		require.Contains(p.t, r.Header.Get("Content-Type"), "application/json")
	default:
		require.Equal(p.t, "application/problem+json", r.Header.Get("Content-Type"))
		var d mp1.ProblemDetails
		require.NoError(p.t, json.Unmarshal(r.Body, &d))
		require.Equal(p.t, status, d.Status)
		require.NotEmpty(p.t, d.Detail)
	}
	return r
}

func (p *platform) of(resource string) string {
	return mp1.Base + "/applications/" + p.app + resource
}

// The data of the suites, put right where mec-test data is known to be wrong: a client
// serInstanceId, a grant type twice, a host with blanks and an odd token URI must do
// no harm.
const (
	transport = `"transportInfo":{"id":"t1","name":"REST","description":"REST API","type":"REST_HTTP","protocol":"HTTP","version":"2.0",
		"endpoint":{"addresses":[{"host":"some host","port":8080}]},
		"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS","OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/mecSerMgmtApi/security/TokenEndPoint"}},"implSpecificInfo":{}}`
	category = `"serCategory":{"href":"/example/catalogue1","id":"id12345","name":"RNI","version":"version1"}`
)

func serviceInfo(name, more string) string {
	return `{"serInstanceId":"of the client","serName":"` + name + `","version":"1.0","state":"ACTIVE","serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":false,"isLocal":true,` +
		category + `,` + transport + more + `}`
}

// registered is a service that a test purpose needs beforehand.
type registered struct {
	p                  *platform
	id, self, liveness string
}

func (p *platform) register(name string, interval int) *registered {
	p.t.Helper()
	more := ""
	if interval >= 0 {
		more = fmt.Sprintf(`,"livenessInterval":%d`, interval)
	}
	return p.read(p.want(http.StatusCreated, "POST", p.of("/services"), serviceInfo(name, more)))
}

func (p *platform) read(a mep.Answer) *registered {
	p.t.Helper()
	var info mp1.ServiceInfo
	require.NoError(p.t, json.Unmarshal(a.Body, &info))
	require.NotNil(p.t, info.Links)
	r := &registered{p: p, id: info.SerInstanceID, self: info.Links.Self.Href}
	if info.Links.Liveness != nil {
		r.liveness = info.Links.Liveness.Href
	}
	return r
}

func (r *registered) state() string {
	r.p.t.Helper()
	return r.p.want(http.StatusOK, "GET", mp1.Base+"/services/"+r.id, "").Object(r.p.t)["state"].(string)
}

func (r *registered) discovered() bool {
	r.p.t.Helper()
	return len(r.p.want(http.StatusOK, "GET", mp1.Base+"/services?ser_instance_id="+r.id, "").List(r.p.t)) == 1
}

// purpose is one line of the result table.
type purpose struct{ id, clause, text, result string }

var (
	mu       sync.Mutex
	purposes = map[string]*purpose{}
)

func note(t *testing.T, clause, text string) {
	one := &purpose{id: strings.TrimPrefix(t.Name(), "Test"), clause: clause, text: text}
	mu.Lock()
	purposes[one.id] = one
	mu.Unlock()
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case t.Failed():
			one.result = "failed"
		case t.Skipped():
			one.result = "skipped"
		default:
			one.result = "passed"
		}
	})
}
