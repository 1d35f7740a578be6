package security

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// others are paths beside the route table of Mp1: ours, ServiceComb's, and nobody's.
var others = []string{"/health", "/ready", "/metrics", "/", "/nope", "/version", "/v3/x", "/mec_service_mgmt/v2/services", "/v4/x", "/v4/default/registry/nope", "/v4/default/registry/version",
	"/v4/default/registry/microservices", "/v4/default/registry/microservices/id", "/v4/default/registry/microservices/id/properties", "/v4/default/registry/microservices/id/schemas",
	"/v4/default/registry/microservices/id/instances", "/v4/default/registry/microservices/id/instances/id", "/v4/default/registry/microservices/id/instances/id/heartbeat",
	"/v4/default/registry/microservices/id/instances/id/properties", "/v4/default/registry/heartbeats", "/v4/default/registry/dependencies", "/v4/default/registry/existence",
	"/v4/default/registry/instances/action", "/v4/default/registry/instances", "/v4/default/registry/microservices/id%2F", "/v4/default/govern/microservices", "/v4/default/admin/dump",
	"/v1/default/gov/x", "//", "/a//b", "/a/../b", "/x;", "/" + strings.Repeat("x", 2100)}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"}

// forms are requests whose body does not come: an answer that does not need it is sent at
// once, or the client is told to send it.
var forms = map[string]string{
	"withheld":          "Content-Type: application/json\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n",
	"withheld, chunked": "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
	"too large":         "Content-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n",
	"of another type":   "Content-Type: text/plain\r\nContent-Length: 18\r\n\r\n{",
}

// Every route, every method: no answer that can be given waits for a body. What shows it
// is a witness: a heartbeat whose body does not come, which is answered after the time
// that a body has. It is sent before all others, so that an answer that waited as long
// would come after the witness's.
func TestNoAnswerWaitsForABodyThatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	service, _ := fresh(t, s)
	paths := slices.Clone(others)
	for _, p := range patterns() {
		if _, path, ok := strings.Cut(p, " "); ok {
			paths = append(paths, strings.NewReplacer("{appInstanceId}", "app", "{serviceId}", service, "{subscriptionId}", "id").Replace(path))
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	late := witness(t, s, service)
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	var mu sync.Mutex
	asked, statuses := 0, map[int]int{}
	for _, path := range paths {
		for _, method := range methods {
			for name, form := range forms {
				if method == "DELETE" && (strings.HasSuffix(path, service) || strings.HasSuffix(path, "/registrations/app")) {
					continue // the witness needs it
				}
				if name == "of another type" && serviceCombs(path) && !slices.Contains([]string{"GET", "HEAD", "PATCH", "OPTIONS", "BREW"}, method) {
					continue // service-center takes any type: it needs the body
				}
				asked++
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					if t.Failed() {
						return
					}
					status, kind, body, err := firstAnswer(s, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\n"+form)
					what := fmt.Sprintf("%s %.100s, %s", method, path, name)
					if !assert.NoError(t, err, what) {
						return
					}
					select {
					case <-late:
						assert.Fail(t, "it was answered after the witness", "%s: %d", what, status)
					default:
					}
					mu.Lock()
					defer mu.Unlock()
					statuses[status]++
					if strings.HasPrefix(name, "withheld") && status == 100 {
						return
					}
					assert.NotEqual(t, 100, status, "%s: nobody waits for it", what)
					if !serviceCombs(path) && status >= 400 && method != "HEAD" {
						assert.Equal(t, "application/problem+json", kind, "%s: %d %s", what, status, body)
					}
				})
			}
		}
	}
	wg.Wait()
	s.Want(204, "PATCH", mep.LivenessOf("app", service), mep.Alive)
	t.Logf("%d requests to %d paths, by status: %v", asked, len(paths), statuses)
}

var idsOfOurs = regexp.MustCompile(`"instanceId":"([0-9a-f]+)","serviceId":"([0-9a-f]+)"`)

// What Mp1 registered is refused on ServiceComb's side by the path alone.
func TestServiceCombsRefusalsWaitForNoBody(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	service, _ := fresh(t, s)
	late := witness(t, s, service)
	ids := idsOfOurs.FindSubmatch(s.Do("GET", "/v4/default/govern/microservices?options=instances", "").Body)
	require.NotNil(t, ids)
	one := "/v4/default/registry/microservices/" + string(ids[2])
	for _, route := range []string{"PUT " + one + "/properties", "DELETE " + one, "POST " + one + "/instances", "PUT " + one + "/instances/" + string(ids[1]) + "/heartbeat",
		"PUT " + one + "/instances/" + string(ids[1]) + "/properties", "PUT " + one + "/instances/" + string(ids[1]) + "/status", "DELETE " + one + "/instances/" + string(ids[1])} {
		for name, form := range forms {
			status, _, body, err := firstAnswer(s, route+" HTTP/1.1\r\nHost: localhost\r\n"+form)
			require.NoError(t, err, "%s, %s", route, name)
			if name != "withheld, chunked" || status != 100 { // its length is not told, so its bytes are counted first
				require.Contains(t, []int{403, 429}, status, "%s, %s: %s", route, name, body)
			}
			select {
			case <-late:
				require.Fail(t, "it was answered after the witness", "%s, %s", route, name)
			default:
			}
		}
	}
}

// serviceCombs says whether service-center itself answers.
func serviceCombs(path string) bool {
	return strings.HasPrefix(path, "/v4/") || strings.HasPrefix(path, "/v1/")
}

// witness sends a heartbeat without its body; the channel is closed when it is answered,
// which is when a body's time is over.
func witness(t *testing.T, s *mep.Server, service string) <-chan struct{} {
	t.Helper()
	answered := make(chan struct{})
	begun := make(chan struct{})
	go func() {
		defer close(answered)
		c, err := net.Dial("tcp", s.Listen)
		if !assert.NoError(t, err) {
			close(begun)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = fmt.Fprintf(c, "PATCH %s/applications/app/services/%s/liveness HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n", mp1.Base, service)
		r := bufio.NewReader(c)
		_, _, _, err = nextAnswer(r, "PATCH") // 100: from here on its body is waited for
		close(begun)
		assert.NoError(t, err)
		_, _, _, _ = nextAnswer(r, "PATCH")
	}()
	<-begun
	return answered
}

// firstAnswer sends text and reads what is answered first, 100 Continue included; kind is
// its Content-Type.
func firstAnswer(s *mep.Server, text string) (status int, kind string, body []byte, err error) {
	c, err := net.Dial("tcp", s.Listen)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = c.Close() }()
	if err = c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, "", nil, err
	}
	if _, err = io.WriteString(c, text); err != nil {
		return 0, "", nil, err
	}
	method, _, _ := strings.Cut(text, " ")
	return nextAnswer(bufio.NewReader(c), method)
}

func nextAnswer(r *bufio.Reader, method string) (status int, kind string, body []byte, err error) {
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode > 100 {
		body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	}
	return res.StatusCode, res.Header.Get("Content-Type"), body, err
}

// Other methods of the probes have an answer of their own.
func TestTheProbesSayWhichMethodsTheyHave(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	for _, path := range []string{"/health", "/ready", "/metrics", "/", "/board", "/board/main.js"} {
		s.Want(200, "GET", path, "")
		s.Want(200, "HEAD", path, "")
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			res := s.Do(method, path, "")
			require.Equal(t, 405, res.Status, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", res.Header.Get("Allow"))
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			require.Contains(t, string(res.Body), `"status":405`)
		}
	}
	for _, path := range []string{"/nope", "/healthy", "/health/x", "/version", "/favicon.ico"} {
		for _, method := range methods[:7] {
			res := s.Do(method, path, "")
			require.Equal(t, 404, res.Status, "%s %s", method, path)
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"), "%s %s", method, path)
		}
	}
}

// curl withholds large bodies, and any if it is told to.
func TestCurlIsAnsweredWhileItWithholdsItsBody(t *testing.T) {
	t.Parallel()
	curl := proc.Find(t, "curl")
	s := mep.Start(t)
	service, _ := fresh(t, s)
	late := witness(t, s, service)
	for _, c := range []struct{ method, path, kind, want string }{
		{"POST", mp1.Base + "/applications/app/nothing", "application/json", "404"}, {"POST", mep.ServicesOf("app"), "text/plain", "415"},
		{"DELETE", mp1.Base + "/services", "application/json", "405"}, {"POST", "/health", "application/json", "405"}, {"PUT", "/v4/default/nope", "application/json", "404"},
		{"PATCH", mep.LivenessOf("app", service), "application/json", "204"},
	} {
		code, p := proc.Command{Program: curl, Args: []string{"-s", "-o", "/dev/null", "-w", "%{http_code}", "--expect100-timeout", "50",
			"-H", "Expect: 100-continue", "-H", "Content-Type: " + c.kind, "-X", c.method, "-d", mep.Alive, s.URL + c.path}}.Run(t, time.Minute)
		require.Zero(t, code, "%s %s: %s", c.method, c.path, p.Both)
		require.Equal(t, c.want, p.Both.String(), "%s %s", c.method, c.path)
		select {
		case <-late:
			require.Fail(t, "it was answered after the witness", "%s %s", c.method, c.path)
		default:
		}
	}
}
