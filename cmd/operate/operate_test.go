package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/remote"
)

// place has a server answer, which is asked without proof.
func place(t *testing.T, h http.Handler) *remote.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	by, err := remote.At(remote.Place{URL: s.URL})
	require.NoError(t, err)
	return by
}

const page = `{"now":"2026-01-02T03:04:05Z","revision":7,"replica":"mep-0",
 "platform":{"version":"v1","replicas":[{"id":"mep-0","self":true}],"store":{"kind":"embedded","ready":true},"expiry":{"held":false},"notifications":{}},
 "counts":{"ACTIVE":2,"SUSPENDED":1,"INACTIVE":1,"late":1,"drained":1,"withoutLiveness":0,"total":4},"services":[%s]%s}`

const (
	dead  = `{"serInstanceId":"d1","serName":"dead","appInstanceId":"app-1","state":"SUSPENDED","since":"2026-01-02T03:03:05Z","reason":"no heartbeat for 6 s","livenessInterval":2,"windowSeconds":6,"lastHeartbeat":"2026-01-02T03:02:59Z","deadline":"","gapsSeconds":[2,2.04]}`
	slow  = `{"serInstanceId":"l1","serName":"slow","appInstanceId":"app-1","appName":"cameras","state":"ACTIVE","late":true,"since":"2026-01-01T03:04:05Z","livenessInterval":2,"lastHeartbeat":"2026-01-02T03:04:01.5Z","deadline":"2026-01-02T03:04:07.5Z","gapsSeconds":[]}`
	taken = `{"serInstanceId":"x1","serName":"taken","appInstanceId":"app-2","state":"INACTIVE","drained":true,"since":"2025-12-01T03:04:05Z","reason":"drained by admin: disk","gapsSeconds":[]}`
)

// pages answers two pages, and keeps what was asked.
func pages(asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.String())
		if r.FormValue("after") == "" {
			_, _ = fmt.Fprintf(w, page, dead+","+slow, `,"next":"c+1/"`)
			return
		}
		_, _ = fmt.Fprintf(w, page, taken, "")
	})
}

func TestAllPagesAreOneTable(t *testing.T) {
	var asked []string
	all, err := Services(t.Context(), place(t, pages(&asked)), Query{States: "ACTIVE,SUSPENDED", App: "a", Name: "b c", Late: true, Drained: true})
	require.NoError(t, err)
	require.Equal(t, []string{"/mec_liveness/v1/state?app=a&drained=true&late=true&limit=500&name=b+c&state=ACTIVE%2CSUSPENDED",
		"/mec_liveness/v1/state?after=c%2B1%2F&app=a&drained=true&late=true&limit=500&name=b+c&state=ACTIVE%2CSUSPENDED"}, asked)
	var out bytes.Buffer
	require.NoError(t, PrintServices(&out, all, false))
	require.Equal(t, `STATE SINCE APP SERVICE LAST-BEAT INTERVAL DEADLINE REASON
SUSPENDED 1m0s ago app-1 dead 1m6s ago 2s - no heartbeat for 6 s
ACTIVE,late 24h0m ago cameras slow 3.5s ago 2s in 2.5s -
INACTIVE,drained 32d0h ago app-2 taken - - - drained by admin: disk

3 of 4 services. Of all: 2 ACTIVE, 1 SUSPENDED, 1 INACTIVE; 1 late, 1 drained, 0 without heartbeats.
`, regexp.MustCompile(` +`).ReplaceAllString(out.String(), " "))
	b, err := json.Marshal(all)
	require.NoError(t, err)
	require.NotContains(t, string(b), `"next"`, "a program gets all of it")
	require.Contains(t, string(b), `"gapsSeconds":[2,2.04]`, "as the server has it")
	out.Reset()
	require.NoError(t, PrintServices(&out, all, true))
	require.Regexp(t, `(?m)^SUSPENDED .* d1 .* 6s .* no heartbeat for 6 s$`, out.String())
}

func TestAHeldBackExpiryIsSaid(t *testing.T) {
	var out bytes.Buffer
	all := &State{Counts: json.RawMessage(`{}`), Platform: json.RawMessage(`{"expiry":{"held":true,"reason":"the replica was paused","until":"2026-01-02T03:04:05Z"}}`)}
	require.NoError(t, PrintServices(&out, all, false))
	require.Contains(t, out.String(), "\nNobody is suspended now: the replica was paused, until 03:04:05 UTC at the latest.\n")
}

func TestOneServiceIsShownWithItsTransitionsAndSubscribers(t *testing.T) {
	one := strings.TrimSuffix(dead, "}") + `,"flapping":{"changes":9,"until":"2026-01-02T03:10:05Z"},"notified":{"told":2,"pending":1,"putOff":1,"failing":["s1"]},"transitions":[{"time":"2026-01-02T03:03:05Z","from":"ACTIVE","to":"SUSPENDED","reason":"no heartbeat"}],
		"subscriptions":[{"id":"s1","appInstanceId":"room","delivered":false,"lastAttempt":"","lastError":"connection refused"},
		{"id":"s2","appInstanceId":"hall","delivered":false,"pending":true,"putOff":true}]}`
	var out bytes.Buffer
	require.NoError(t, PrintOne(&out, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), json.RawMessage(one)))
	for _, want := range []string{`state +SUSPENDED\n`, `since +2026-01-02 03:03:05 UTC \(1m0s ago\)\n`, `gaps +2.0 2.0 s between heartbeats\n`, `notified +2 told, 1 pending, 1 failing, 1 later; it flaps: 9 changes, put off until 2026-01-02 03:10:05 UTC\n`, `hall +s2 +later +-`,
		`ACTIVE +SUSPENDED +no heartbeat\n`, `room +s1 +not yet +- +connection refused\n`} {
		require.Regexp(t, want, out.String())
	}
}

// What services are called is chosen by applications: it must not reach the terminal as it is.
func TestNamesDoNotChangeTheTerminal(t *testing.T) {
	hostile := `{"serInstanceId":"i\u001b[2J","serName":"a\u001b]0;x\u0007b\nc\u202e","appInstanceId":"\u009b1m","state":"ACTIVE\r","reason":"\u001b[31mred\tx","endpoints":["\u0000"],"transitions":[{"from":"\u001b[1m"}],"subscriptions":[{"lastError":"\u001bc"}]}`
	all := &State{Counts: json.RawMessage(`{}`), Platform: json.RawMessage(`{"expiry":{"held":true,"reason":"\u001b[2J"}}`), Services: []json.RawMessage{json.RawMessage(hostile)}}
	var out bytes.Buffer
	require.NoError(t, PrintServices(&out, all, true))
	require.NoError(t, PrintOne(&out, time.Now(), json.RawMessage(hostile)))
	require.NotContains(t, strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r < 0x7f {
			return r
		}
		return '!'
	}, out.String()), "!", "%q", out.String())
	require.Equal(t, 1, strings.Count(out.String(), "service   "), "no name makes a line of its own")
}

func TestADrainSaysWhyAndItsAnswersAreToldApart(t *testing.T) {
	status, kind, body := 200, "application/json", dead
	var asked []string
	by := place(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+string(b)))
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	_, err := Drain(t.Context(), by, "d1", `a "disk"`)
	require.NoError(t, err)
	_, err = Undrain(t.Context(), by, "d1")
	require.NoError(t, err)
	_, err = One(t.Context(), by, "d1")
	require.NoError(t, err)
	require.Equal(t, []string{`PUT /mec_liveness/v1/services/d1/drain {"reason":"a \"disk\""}`, "DELETE /mec_liveness/v1/services/d1/drain", "GET /mec_liveness/v1/state/d1"}, asked)
	_, err = One(t.Context(), by, "../credentials")
	require.ErrorContains(t, err, "ID must be")
	require.Len(t, asked, 3, "it is not asked for")

	status, kind, body = 404, "application/problem+json", "{}"
	_, err = Undrain(t.Context(), by, "d1")
	require.ErrorIs(t, err, ErrNotFound)
	kind = "text/plain"
	_, err = Undrain(t.Context(), by, "d1")
	require.ErrorContains(t, err, "an older one")
	status, body = 403, `{"detail":"not\u001b[2J you"}`
	_, err = Drain(t.Context(), by, "d1", "x")
	require.EqualError(t, err, "the server refused (403): not[2J you")
	status, body = 200, "<html>"
	_, err = Services(t.Context(), by, Query{})
	require.ErrorIs(t, err, errNoState)
}

func TestAServiceIsNamedByItsIDOrByANameThatOnlyOneHas(t *testing.T) {
	services := dead + "," + slow
	by := place(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case statePath:
			_, _ = fmt.Fprintf(w, page, services, "")
		case statePath + "/l1":
			_, _ = io.WriteString(w, slow)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	find := func(word string) (string, error) {
		one, err := Named(t.Context(), by, word, func(id string) (json.RawMessage, error) { return One(t.Context(), by, id) })
		return string(one), err
	}
	for _, word := range []string{"l1", "slow"} {
		one, err := find(word)
		require.NoError(t, err)
		require.Equal(t, slow, one)
	}
	_, err := find("slo")
	require.ErrorIs(t, err, ErrNotFound, "the beginning of a name is none")
	_, err = find("../a name")
	require.ErrorIs(t, err, ErrNotFound)
	services += "," + strings.Replace(slow, `"l1"`, `"l2\u001b"`, 1)
	_, err = find("slow")
	require.EqualError(t, err, `2 services are called "slow"; give the id of one: l1, l2`)
	for i := range maxNames {
		services += "," + strings.Replace(slow, `"l1"`, fmt.Sprintf(`"m%d"`, i), 1)
	}
	_, err = find("slow")
	require.ErrorContains(t, err, "--name TEXT -o wide lists their ids")
	one, err := find("l1")
	require.NoError(t, err, "an id is unique")
	require.Equal(t, slow, one)
}
