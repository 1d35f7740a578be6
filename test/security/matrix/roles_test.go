package matrix

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// everybody are callers of each role. Whose name does not matter has another one each time:
// who is refused again and again is answered later and later.
func (w *world) everybody() map[string]presented {
	n := strconv.FormatInt(w.named.Add(1), 10)
	of := func(subject string, roles []string, apps ...string) presented {
		c := claims{"roles": roles}
		if apps != nil {
			c["apps"] = apps
		}
		return bearer(w.issuer.token(subject, c))
	}
	return map[string]presented{
		"app":                         of(victim, []string{"app"}),
		"app by default":              bearer(w.issuer.token(victim, nil)),
		"app by certificate":          {cert: w.certs[victim]},
		"app by proxy":                {header: []string{proxyHeader, victim}, cert: w.proxy, from: proxyAddress},
		"app, another":                of(other, []string{"app"}),
		"app, another by certificate": {cert: w.certs[other]},
		"host":                        of("agent-"+n, []string{"host"}, victim, "b-*"),
		"host, prefix":                of("agent-"+n, []string{"host"}, victim[:3]+"*"),
		"host, another":               of("agent-"+n, []string{"host"}, other, victim[:3], victim+"-*", "x"+victim),
		"host, named so":              of(victim, []string{"host"}, other),
		"reader":                      of("eve-"+n, []string{"reader"}),
		"reader, named so":            of(victim, []string{"reader"}),
		"registry":                    of("sc-"+n, []string{"registry"}),
		"admin":                       of("root-"+n, []string{"admin"}),
		"nobody's role":               of("x-"+n, []string{"root", "ADMIN", "*"}),
		"no role":                     of("x-"+n, []string{}),
	}
}

// mine says whether a caller of everybody acts for the victim.
func mine(name string) bool {
	return slices.Contains([]string{"app", "app by default", "app by certificate", "app by proxy", "host", "host, prefix", "admin"}, name)
}

// TestEachRoleReachesItsRoutesAndNoOther is the matrix route × role. What may be used is
// asked for with ids of nothing and bodies of nothing, so that it changes nothing either.
func TestEachRoleReachesItsRoutesAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nothing := map[string]string{"{appInstanceId}": victim, "{serviceId}": "nothing", "{subscriptionId}": "nothing", "{id}": "nothing", ":project": "default",
		":serviceId": "nothing", ":instanceId": "nothing", ":consumerId": "nothing", ":providerId": "nothing", ":rule_id": "nothing", ":schemaId": "nothing", ":key": "nothing", ":kind": "nothing", ":id": "nothing"}
	before := w.stored(t)
	t.Run("callers", func(t *testing.T) {
		for name := range w.everybody() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, r := range w.routes {
					if !slices.Contains(exchanges, r.path(nothing)) && !strings.Contains(r.Pattern, " /mep/") {
						w.reaches(t, r, name, nothing)
					}
				}
			})
		}
	})
	require.Equal(t, before, w.stored(t), "somebody changed something")
	t.Logf("%d routes, %d callers", len(w.routes), len(w.everybody()))
}

// reaches asks for a route as a caller of everybody, and judges the answer.
func (w *world) reaches(t *testing.T, r route, name string, nothing map[string]string) {
	t.Helper()
	with := w.everybody()[name]
	owned := r.Access == "owner" || r.Access == "owner in body" && r.method() == "POST"
	if r.Access != "open" && (!slices.Contains(r.Roles, roleOf(name)) || owned && !mine(name)) {
		w.refused(t, w.send(t, with, r.method(), r.path(w.ids), r.body()), http.StatusForbidden, r.Pattern)
		return
	}
	body := ""
	if r.method() != "GET" && r.method() != "DELETE" {
		body = "{"
	}
	got := w.send(t, with.with("If-Match", `"nothing"`), r.method(), r.path(nothing), body)
	require.NotContains(t, []int{401, 403}, got.status, "%s: %s", r.Pattern, got.body)
}

// roleOf is the role of a caller of everybody.
func roleOf(name string) string {
	role, _, _ := strings.Cut(name, ",")
	role, _, _ = strings.Cut(role, " by ")
	return role
}

// Among many heartbeats each is refused by itself, and alike whether its service exists or not.
func TestAForeignHeartbeatAmongManyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, with := range w.everybody() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := w.send(t, with, "POST", mp1.HeartbeatsPath, fmt.Sprintf(`{"heartbeats":[{"appInstanceId":%q,"serInstanceId":%q},{"appInstanceId":%q,"serInstanceId":"does-not-exist"}]}`,
				victim, w.ids["{serviceId}"], victim))
			var results mp1.HeartbeatResults
			switch {
			case !slices.Contains([]string{"app", "host", "admin"}, roleOf(name)):
				w.refused(t, got, http.StatusForbidden, name)
				return
			case got.status != http.StatusOK:
				t.Fatal(got.status, got.body)
			}
			require.NoError(t, json.Unmarshal([]byte(got.body), &results))
			there, gone := results.Results[0], results.Results[1]
			if mine(name) {
				require.Less(t, there.Status, 300)
				require.Equal(t, http.StatusNotFound, gone.Status)
				return
			}
			require.Equal(t, http.StatusForbidden, there.Status)
			require.Equal(t, http.StatusForbidden, gone.Status)
			require.Equal(t, there.Detail, gone.Detail)
		})
	}
}

// TestAForeignThingIsRefusedAlikeWhetherItExistsOrNot: an answer that differs would tell.
func TestAForeignThingIsRefusedAlikeWhetherItExistsOrNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	none := map[string]string{}
	for name := range w.ids {
		none[name] = "does-not-exist"
	}
	none[":project"] = "default"
	shown := func(a answer) string {
		a.header.Del("Date")
		return fmt.Sprint(a.status, a.header, a.body)
	}
	for name, with := range w.everybody() {
		if mine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range w.routes {
				if r.Access == "open" || r.Access != "owner" && slices.Contains(r.Roles, roleOf(name)) {
					continue
				}
				there := w.send(t, with, r.method(), r.path(w.ids), r.body())
				gone := w.send(t, with, r.method(), r.path(none), r.body())
				require.Equal(t, shown(there), shown(gone), r.Pattern)
			}
		})
	}
}

// TestARefusalDoesNotWaitForTheBody: nothing of a request is read for whom it is refused.
func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, with := range map[string]presented{"nobody": {}, "another": {}, "a liar": bearer("a.b.c")} {
		for _, r := range w.routes {
			if strings.Contains(r.Pattern, " /mep/") || r.Access == "open" || r.Access == "owner in body" || r.Access == "owners in body" || r.method() == "GET" || r.Access == "identified" && name == "another" {
				continue
			}
			if name == "another" {
				with = bearer(w.issuer.token(other+strconv.FormatInt(w.named.Add(1), 10), nil))
			}
			c := w.dial(t)
			head := r.method() + " " + r.path(w.ids) + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
			for i := 0; i < len(with.header); i += 2 {
				head += with.header[i] + ": " + with.header[i+1] + "\r\n"
			}
			_, err := c.Write([]byte(head + "\r\n")) // and no body
			require.NoError(t, err)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err, "%s by %s", r.Pattern, name)
			require.Contains(t, []int{401, 403}, res.StatusCode, "%s by %s", r.Pattern, name)
			require.NoError(t, res.Body.Close())
			require.NoError(t, c.Close())
		}
	}
}

// TestAWatchIsARouteLikeOthers: a WebSocket takes the connection over, so that nothing may
// come before the table.
func TestAWatchIsARouteLikeOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := registry + "/microservices/" + w.ids[":serviceId"] + "/watcher"
	for name, want := range map[string]int{"app": 403, "host": 403, "reader": 101, "registry": 101, "admin": 101, "no role": 403} {
		with := w.everybody()[name].with("Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		require.Equal(t, want, w.handshake(t, with, watch), name)
		require.Equal(t, 403, w.handshake(t, with.with("Origin", "https://evil.example"), watch), name)
	}
	require.Equal(t, 401, w.handshake(t, presented{header: []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}, watch))
}

// TestAWatchEndsWithTheCredentialThatOpenedIt: it would show for hours what happens.
func TestAWatchEndsWithTheCredentialThatOpenedIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.s.Token(w.s.Add("console", "reader"))
	c := w.dial(t)
	defer func() { _ = c.Close() }()
	_, err := fmt.Fprintf(c, "GET %s/microservices/%s/watcher HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", registry, w.ids[":serviceId"], token)
	require.NoError(t, err)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	w.admin(t, "DELETE", "/mec_liveness/v1/credentials/console", "")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute))) // ends a test that fails
	_, err = io.Copy(io.Discard, in)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the watch went on")
}

// dial connects as send does, for requests that are written by hand.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	transport, ok := w.client(presented{}).Transport.(*http.Transport)
	require.True(t, ok)
	raw, err := transport.DialContext(t.Context(), "tcp", w.s.Listen)
	require.NoError(t, err)
	config := transport.TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "127.0.0.2", nil
	return tls.Client(raw, config)
}

// handshake asks for a WebSocket and returns the status.
func (w *world) handshake(t *testing.T, with presented, path string) int {
	t.Helper()
	c := w.dial(t)
	defer func() { _ = c.Close() }()
	head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n"
	for i := 0; i < len(with.header); i += 2 {
		head += with.header[i] + ": " + with.header[i+1] + "\r\n"
	}
	_, err := c.Write([]byte(head + "\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}
