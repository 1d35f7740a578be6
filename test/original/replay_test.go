package original

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/mepauth"
	"github.com/mec-liveness/mepserver/test/printed"
	"github.com/mec-liveness/mepserver/test/wait"
)

var (
	record = flag.String("record", "", "the URL of a running original: its answers are written to testdata/answers.json")
	update = flag.Bool("update", false, "write the table of differences into docs/edgegallery.md")
)

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

const recording = "testdata/answers.json"

// answer is what came of a step: with names in place of ids, and 0 for times.
type answer struct {
	Step        string `json:"step"`
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	Location    string `json:"location,omitempty"`
	Body        any    `json:"body,omitempty"` // text, if it is no JSON
}

// player asks one server.
type player struct {
	t         *testing.T
	url       string
	pause     time.Duration // between requests: the original answers out of a cache
	variables map[string]string

	mu       sync.Mutex
	received []string // notifications
}

// callback takes notifications as EdgeGallery's application does, which answers OK.
func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	p.mu.Lock()
	p.received = append(p.received, string(body))
	p.mu.Unlock()
	_, _ = w.Write([]byte("OK"))
}

// fill puts values in place of variables.
func (p *player) fill(text string) string {
	for name, value := range p.variables {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// gateway is a URL of EdgeGallery's gateway: that of a service and 20 digits.
var gateway = regexp.MustCompile(`https?://mep-api-gw\.mep:\d+/([A-Za-z0-9_-]+?)[0-9a-f]{20}\b`)

// plain puts variables in place of values. A capability of ours is named by the last 32
// characters of the service's id.
func (p *player) plain(text string) string {
	for name, value := range p.variables {
		text = strings.ReplaceAll(text, value, "{"+name+"}")
		if len(value) == 64 {
			text = strings.ReplaceAll(text, value[32:], "{"+name+"}")
		}
	}
	return gateway.ReplaceAllString(text, "{gateway}/$1")
}

// play asks all steps.
func (p *player) play(steps []step) (all []answer) {
	callback := httptest.NewServer(p)
	defer callback.Close()
	p.variables = map[string]string{"callback": callback.URL, "A": a, "B": b}
	for _, s := range steps {
		if s.method == notified {
			all = append(all, p.told(s))
			continue
		}
		var one answer
		wait.Until(p.t, s.name+": "+s.until, func() bool {
			one = p.ask(s)
			return strings.Contains(text(one.Body), s.until)
		})
		all = append(all, one)
		if p.pause > 0 {
			<-time.After(p.pause)
		}
	}
	return all
}

var ofPath = regexp.MustCompile(`/applications/([^/]+)/`)

// ask sends the request of a step as EdgeGallery's gateway passes it on.
func (p *player) ask(s step) answer {
	r, err := http.NewRequestWithContext(p.t.Context(), s.method, p.url+p.fill(s.path), strings.NewReader(p.fill(s.body)))
	require.NoError(p.t, err)
	app := s.as
	if m := ofPath.FindStringSubmatch(s.path); app == "" && m != nil {
		app = m[1]
	}
	if app != "" && app != nobody {
		r.Header.Set("X-AppinstanceID", app)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err, s.name)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err, s.name)
	var members map[string]any
	if len(s.keep) > 0 && json.Unmarshal(body, &members) == nil {
		for name, member := range s.keep {
			if value, ok := members[member].(string); ok {
				p.variables[name] = value
			}
		}
	}
	return answer{s.name, res.StatusCode, res.Header.Get("Content-Type"), p.plain(res.Header.Get("Location")), p.read(body)}
}

// told waits for a notification with the words of a step.
func (p *player) told(s step) (a answer) {
	words := strings.Fields(p.fill(s.body))
	wait.Until(p.t, s.name, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, n := range p.received {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(n, w) }) {
				a = answer{Step: s.name, Body: p.read([]byte(n))}
				return true
			}
		}
		return false
	})
	return a
}

// read is a body with names in place of ids.
func (p *player) read(body []byte) any {
	text := p.plain(string(body))
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return strings.TrimSpace(text)
	}
	return withoutTimes(v)
}

// withoutTimes puts 0 in place of times.
func withoutTimes(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutTimes(v[i])
		}
	case map[string]any:
		for name := range v {
			switch name {
			case "seconds", "nanoSeconds":
				v[name] = 0.0
			case "timeSourceStatus": // of the machine
				v[name] = ""
			default:
				v[name] = withoutTimes(v[name])
			}
		}
	}
	return v
}

// Each answer of the original is given here too, or stands in the table of differences.
func TestAsTheOriginalAnswers(t *testing.T) {
	if *record != "" {
		p := &player{t: t, url: *record, pause: time.Second}
		out, err := json.MarshalIndent(p.play(slices.Concat(script, ofTheManager)), "", "\t")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(recording, append(out, '\n'), 0o600))
		return
	}
	text, err := os.ReadFile(recording)
	require.NoError(t, err)
	var theirs []answer
	require.NoError(t, json.NewDecoder(bytes.NewReader(text)).Decode(&theirs))
	s := site(t)
	steps := slices.Concat(script, ofTheManager)
	require.Len(t, theirs, len(steps), "record the answers to the script anew")
	ours := (&player{t: t, url: s.URL}).play(steps)
	var found []difference
	for i := range steps {
		require.Equal(t, steps[i].name, theirs[i].Step, "record the answers to the script anew")
		found = append(found, compare(theirs[i], ours[i])...)
	}
	for _, problem := range unexplained(found) {
		t.Error(problem)
	}
}

// site starts mepserver in the environment of EdgeGallery's chart, on loopback, where the gateway
// and the manager are taken to be.
func site(t *testing.T) *mep.Server {
	auth := mepauth.Start(t)
	for _, app := range []string{a, b} {
		auth.RequireText(app, "*")
	}
	u, err := url.Parse(auth.URL)
	require.NoError(t, err)
	return mep.Start(t, "MEPSERVER_APIGW_HOST=localhost", "MEPSERVER_APIGW_PORT=1", "HTTP_PROTOCOL=http", "SSL_ENABLED=false", "MEPSERVER_CERT_DOMAIN_NAME=edgegallery",
		"MEPAUTH_PORT_10443_TCP_ADDR="+u.Hostname(), "MEPAUTH_SERVICE_PORT="+u.Port(), "MEP_TIMING_NTP_SERVERS=mep-ntp minpoll 4 maxpoll 17",
		"MEP_RULES_DNS_DRIVER=hosts", "MEP_RULES_DNS_HOSTS_FILE="+filepath.Join(t.TempDir(), "hosts"))
}

// The document says what is answered otherwise, and why.
func TestTheDifferencesAreDocumented(t *testing.T) {
	printed.Compare(t, *update, "../../docs/edgegallery.md", "differences", "./test/original", tableText())
}
