package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func post(p *printer, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/any/path?x=1", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func at() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC) }

func TestEveryChangeIsOneLine(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, now: at}
	w := post(p, `{"notificationType":"SerAvailabilityNotification","more":[],"serviceReferences":[
		{"link":{"href":"/x"},"serName":"face","serInstanceId":"id1","state":"SUSPENDED","changeType":"STATE_CHANGED"},
		{"serName":"gone","serInstanceId":"id2","state":"ACTIVE","changeType":"REMOVED"}],"_links":{"subscription":{"href":"/s"}}}`, "webhook-id", "s1.4-5")
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Empty(t, w.Body.String())
	require.Equal(t, "03:04:05.006 STATE_CHANGED      SUSPENDED face serInstanceId=id1 webhook-id=s1.4-5\n"+
		"03:04:05.006 REMOVED            ACTIVE    gone serInstanceId=id2 webhook-id=s1.4-5\n", out.String())
	out.Reset()
	require.Equal(t, http.StatusNoContent, post(p, `{"notificationType":"Other"}`).Code)
	require.Equal(t, "03:04:05.006 Other without references webhook-id=-\n", out.String())
	out.Reset()
	require.Equal(t, http.StatusNoContent, post(p, `{"notificationType":"AppTerminationNotification","operationAction":"TERMINATING","maxGracefulTimeout":60}`, "webhook-id", "s2").Code)
	require.Equal(t, "03:04:05.006 TERMINATING        within 60 s AppTerminationNotification webhook-id=s2\n", out.String())
}

func TestNoValueCanForgeALine(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, now: at}
	w := post(p, `{"notificationType":"N","serviceReferences":[{"serName":"a\n03:04 FORGED\u001b[2J\u202e","serInstanceId":"`+strings.Repeat("x", 5000)+`","state":"  ","changeType":"A B"}]}`, "webhook-id", "x\ty")
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Regexp(t, regexp.MustCompile(`^03:04:05.006 A_B                -         a03:04_FORGED\[2J serInstanceId=x{256} webhook-id=xy\n$`), out.String())
}

func TestWhatIsNoNotificationIsRefusedAndNotPrinted(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, now: at}
	for _, c := range []struct {
		body, kind string
		want       int
	}{
		{"", "application/json", 400}, {"[]", "application/json", 400}, {"{}", "application/json", 400}, {"null", "application/json", 400},
		{`{"notificationType":"N"} x`, "application/json", 400},
		{`{"notificationType":"N"}`, "text/plain", 415}, {`{"notificationType":"N"}`, "", 415},
		{`{"notificationType":"` + strings.Repeat("x", maxNotification) + `"}`, "application/json", 413},
	} {
		require.Equal(t, c.want, post(p, c.body, "Content-Type", c.kind).Code, "%.40s", c.body)
	}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		require.Equal(t, 405, w.Code)
		require.Equal(t, "POST", w.Header().Get("Allow"))
	}
	require.Empty(t, out.String())
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestWhatCouldNotBePrintedIsNotAcknowledged(t *testing.T) {
	require.Equal(t, 500, post(&printer{out: broken{}, now: at}, `{"notificationType":"N"}`).Code)
}

// lockedBuffer is read while the program writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestListenServesOnLoopbackUntilItIsStopped(t *testing.T) {
	for _, addr := range []string{":0", "localhost:0", "[::1]:0"} {
		if addr == "[::1]:0" {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Logf("not tried: %s, for this machine has no IPv6 loopback: %v", addr, err)
				continue
			}
			require.NoError(t, l.Close())
		}
		ctx, stop := context.WithCancel(context.Background())
		var out, errs lockedBuffer
		ended := make(chan int, 1)
		go func() { ended <- run(ctx, []string{"listen", addr}, nil, &out, &errs) }()
		var url string
		require.Eventually(t, func() bool {
			url = regexp.MustCompile(`http://\S+/`).FindString(out.String())
			return url != ""
		}, time.Minute, time.Millisecond, "%s", &errs)
		require.Regexp(t, `^http://(127\.0\.0\.1|\[::1\]):\d+/$`, url)
		resp, err := http.Post(url+"x", "application/json", strings.NewReader(`{"notificationType":"Hello"}`))
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 204, resp.StatusCode)
		require.Contains(t, out.String(), "Hello")
		stop()
		require.Equal(t, 0, <-ended)
		require.Empty(t, errs.String())
	}
}

func TestBadCommandLinesAreOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, c := range []struct{ line, want string }{
		{"listen", "listen takes one address"},
		{"listen 127.0.0.1:1 127.0.0.1:2", "listen takes one address"},
		{"listen 127.0.0.1:1 --config f", "--config is for listen --websocket"},
		{"listen --websocket ws://a ws://b", "one URI at most"},
		{"listen --websocket 127.0.0.1:1", "takes the websocketUri of a subscription"},
		{"listen --websocket ws://127.0.0.1:1/x --ca f", "--ca is for a wss URI"},
		{"listen --websocket --verify f", "are for callbacks"},
		{"listen --websocket ws://u:p@127.0.0.1:1/x", "without a user"},
		{"listen example.org:1", "must be HOST:PORT with an IP address or localhost"},
		{"listen 127.0.0.1", "must be HOST:PORT"},
		{"listen 127.0.0.1:99999", "must be HOST:PORT"},
		{"listen " + taken.Addr().String(), "cannot listen on " + taken.Addr().String() + ": "},
		{"listen --port 1", "flag provided but not defined: -port"},
		{"dance", `unknown command "dance"`},
		{"status a b", `unexpected argument "a"`},
		{"status 127.0.0.1:0", "the system chose the port"},
		{"status 127.0.0.1:1 --config f", "not both"},
		{"status example.org:1", "must be HOST:PORT"},
		{"status -o yaml", "must be table or json"},
		{"status --ready --registered :1", "not both"},
		{"status --offline", "flag provided but not defined: -offline"},
		{"check --ready", "flag provided but not defined: -ready"},
		{"stop it", `"it" is no process id`},
		{"stop 0", `"0" is no process id`},
		{"stop 1 2", `unexpected argument "1"`},
		{"check here", `unexpected argument "here"`},
		{"check --config=", "--config must name a file"},
		{"example --config f", "flag provided but not defined: -config"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(context.Background(), strings.Fields(c.line), nil, &out, &errs), c.line)
		require.Contains(t, errs.String(), c.want)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"))
		require.Empty(t, out.String())
	}
}

func TestHelpAndVersionSucceed(t *testing.T) {
	for _, line := range []string{"--help", "-h", "listen --help"} {
		var out, errs bytes.Buffer
		require.Equal(t, 0, run(context.Background(), strings.Fields(line), nil, &out, &errs))
		require.Contains(t, out.String(), "mep-agent listen HOST:PORT")
		for l := range strings.Lines(out.String()) {
			require.LessOrEqual(t, len(l), 84)
		}
		require.Empty(t, errs.String())
	}
	var out, errs bytes.Buffer
	require.Equal(t, 0, run(context.Background(), []string{"--version"}, nil, &out, &errs))
	require.Regexp(t, `^mep-agent \S+\n$`, out.String())
}

// An orchestrator that shares processes between containers gives 1 to a program of its own.
func TestStopEndsNothingButAnAgent(t *testing.T) {
	for _, pid := range []int{1, os.Getppid()} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(context.Background(), []string{"stop", strconv.Itoa(pid)}, nil, &out, &errs))
		require.Regexp(t, `^mep-agent: process \d+ (is no mep-agent|cannot be looked at: .*)\n$`, errs.String())
	}
}
