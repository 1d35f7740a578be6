package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	credentials = "/mec_liveness/v1/credentials"
	keysPath    = "/.well-known/jwks.json"
	eachSecond  = "MEP_LIVENESS_DEFAULT_INTERVAL=1s" // a heartbeat
)

// replaceFile puts a file in place of another at once.
func replaceFile(t *testing.T, file string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

// issuerKey is a new key of the issuer, in PEM.
func issuerKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// published waits until so many keys are published.
func published(t *testing.T, s *mep.Secured, n int) {
	t.Helper()
	wait.Until(t, fmt.Sprint(n, " keys are published"), func() bool {
		return len(s.Want(http.StatusOK, http.MethodGet, keysPath, "").Object(t)["keys"].([]any)) == n
	})
}

// oauth2Agent starts an agent that gets its tokens from the server itself.
func oauth2Agent(t *testing.T, s *mep.Secured, c mep.Credential, n int, env ...string) (a *agent, secretFile string) {
	t.Helper()
	secretFile = filepath.Join(t.TempDir(), "secret")
	replaceFile(t, secretFile, []byte(c.Secret+"\n"))
	return startAgent(t, services(t, n), append([]string{"MEP_PLATFORM_ENDPOINTS=" + s.URL, "MEP_PLATFORM_CA_FILE=" + s.CA.File, "MEP_APPLICATION_ID=" + c.ID,
		"MEP_IDENTITY_KIND=oauth2", "MEP_IDENTITY_TOKEN_URL=" + s.URL + "/oauth2/token", "MEP_IDENTITY_CLIENT_ID=" + c.ID, "MEP_IDENTITY_CLIENT_SECRET_FILE=" + secretFile}, env...)...), secretFile
}

// counted reads one of the agent's metrics.
func (a *agent) counted(series string) (n int) {
	_, body := a.get("/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			_, err := fmt.Sscan(rest, &n)
			require.NoError(a.t, err)
		}
	}
	return n
}

func (a *agent) beats(outcome string) int {
	return a.counted(`mep_agent_heartbeats_total{outcome="` + outcome + `"}`)
}

// Tokens end, secrets and keys are replaced, and the services of an agent live on.
func TestAnAgentLosesNoHeartbeatWhileSecretsAndKeysAreReplaced(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, append([]string{"MEP_IDENTITY_ISSUER_LIFETIME=3s", eachSecond}, mep.Fast...)...)
	c, admin := s.Add("agent-app"), s.As(s.Add("boss", "admin"))
	a, secretFile := oauth2Agent(t, s, c, 20)
	wait.Until(t, "registered", a.ready)
	ids := a.ids()
	goesOn := func(what string) {
		t.Helper()
		made, beats := admin.Metric(`mep_issuer_tokens_total{outcome="made"}`), a.beats("ok")
		wait.Until(t, what, func() bool {
			return admin.Metric(`mep_issuer_tokens_total{outcome="made"}`) > made+1 && a.beats("ok") > beats+40
		})
	}
	goesOn("two tokens later")

	rotated := admin.Want(http.StatusOK, http.MethodPost, credentials+"/agent-app/rotate", "").Object(t)
	goesOn("the old secret is still valid")
	replaceFile(t, secretFile, []byte(rotated["secret"].(string)+"\n"))
	goesOn("the new one is")

	old, err := os.ReadFile(s.IssuerKey)
	require.NoError(t, err)
	next := issuerKey(t)
	replaceFile(t, s.IssuerKey, append(old, next...))
	published(t, s, 2)
	replaceFile(t, s.IssuerKey, append(next, old...))
	goesOn("the new key signs")
	time.Sleep(5 * time.Second) // a second to read it, and the life of the last token of the old one
	replaceFile(t, s.IssuerKey, next)
	published(t, s, 1)
	goesOn("the old key is gone")

	for line := range strings.Lines(a.Stderr.String()) {
		if strings.Contains(line, "a heartbeat was not taken") { // a platform or a store that is slow is no matter of tokens
			require.Regexp(t, `"reason":"(503, The platform's store did not confirm in time|no answer in time)`, line)
		}
	}
	require.Zero(t, a.counted("mep_agent_registrations_lost_total"))
	require.Equal(t, ids, a.ids())
	t.Logf("%d heartbeats, none refused or lost; %d tokens", a.beats("ok"), admin.Metric(`mep_issuer_tokens_total{outcome="made"}`))
	require.NotContains(t, s.Log()+a.Stderr.String(), c.Secret)
	require.NotContains(t, s.Log()+a.Stderr.String(), rotated["secret"])
	a.end()
}

// A key that was stolen is taken out in one step: its tokens end, and agents come back.
func TestAStolenKeyIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, append([]string{eachSecond}, mep.Fast...)...)
	c := s.Add("agent-app")
	token := s.Token(c)
	a, _ := oauth2Agent(t, s, c, 1)
	wait.Until(t, "registered", a.ready)
	replaceFile(t, s.IssuerKey, issuerKey(t))
	wait.Until(t, "its tokens end", func() bool {
		return s.WithToken(token).Do(http.MethodGet, mep.ServicesOf("agent-app"), "").Status == http.StatusUnauthorized
	})
	beats := a.beats("ok")
	wait.Until(t, "the agent goes on", func() bool { return a.beats("ok") > beats+3 })

	replaceFile(t, s.IssuerKey, []byte("no key"))
	wait.Until(t, "that is said", func() bool { return strings.Contains(s.Log(), "identity.issuer.keyFile cannot be used") })
	require.NotEmpty(t, s.Token(c), "and the key before it stays")
}

// What an application that is thrown out still has is worth nothing.
func TestARemovedCredentialsTokensAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	c := s.Add("app-1")
	token := s.Token(c)
	mine := s.WithToken(token)
	id := mine.Register("app-1", "n", 30).ID
	require.Equal(t, http.StatusNoContent, mine.Beat("app-1", id))
	s.Admin(http.MethodDelete, credentials+"/app-1", "")
	require.Equal(t, http.StatusUnauthorized, mine.Beat("app-1", id))
	require.Equal(t, http.StatusUnauthorized, mine.Do(http.MethodGet, mep.Base+"/services", "").Status)
	_, _, err := s.TryToken(c)
	require.ErrorContains(t, err, "401")

	again := s.Add("app-1")
	require.Equal(t, http.StatusUnauthorized, mine.Beat("app-1", id), "nor with another credential of that name")
	require.Equal(t, http.StatusNoContent, s.As(again).Beat("app-1", id))

	hold := s.Token(again)
	rotated := s.Admin(http.MethodPost, credentials+"/app-1/rotate", `{"grace":"0s"}`)
	require.Equal(t, http.StatusOK, rotated.Status)
	require.Equal(t, http.StatusUnauthorized, s.WithToken(hold).Beat("app-1", id))
	_, _, err = s.TryToken(again)
	require.ErrorContains(t, err, "401")
}

// Credentials outlive the process, their secrets are in no file, and tokens of before a
// restart go on: an agent must not have to come back.
func TestCredentialsOutliveARestart(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "mep-") // short: there is a socket in it
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := mep.Options{DataDir: dir}.Secure(t)
	c, gone := s.Add("app-1"), s.Add("app-2")
	token, dead := s.Token(c), s.Token(gone)
	s.Admin(http.MethodDelete, credentials+"/app-2", "")
	s.Kill()
	s.Restart()
	require.Equal(t, http.StatusOK, s.WithToken(token).Do(http.MethodGet, mep.ServicesOf("app-1"), "").Status)
	require.Equal(t, http.StatusUnauthorized, s.WithToken(dead).Do(http.MethodGet, mep.ServicesOf("app-2"), "").Status)
	require.NotEmpty(t, s.Token(c))
	s.Stop()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(b), c.Secret)
		require.NotContains(t, string(b), token)
		return nil
	}))
}

// Only admins reach the credentials, and an admin cannot be made by anybody else.
func TestOnlyAdminsAdministrateCredentials(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	others := map[string]*mep.Server{"nobody": s.Server, "app": s.As(s.Add("app")), "host": s.As(s.AddHost("host", "app*")),
		"reader": s.As(s.Add("reader", "reader")), "registry": s.As(s.Add("registry", "registry"))}
	for name, who := range others {
		want := http.StatusForbidden
		if name == "nobody" {
			want = http.StatusUnauthorized
		}
		for _, r := range [][3]string{{"GET", credentials, ""}, {"POST", credentials, `{"id":"evil","roles":["admin"]}`}, {"POST", credentials + "/app/rotate", ""},
			{"DELETE", credentials + "/app", ""}, {"DELETE", credentials + "/none", ""}} {
			require.Equal(t, want, who.Do(r[0], r[1], r[2]).Status, "%s: %s %s", name, r[0], r[1])
		}
	}
	boss := s.As(s.Add("boss", "admin"))
	require.Len(t, boss.Want(http.StatusOK, http.MethodGet, credentials, "").Object(t)["credentials"], 5)
	made := boss.Want(http.StatusCreated, http.MethodPost, credentials, `{"id":"second","roles":["admin"]}`)
	var second mep.Credential
	made.Into(t, &second)
	s.As(second).Want(http.StatusNoContent, http.MethodDelete, credentials+"/boss", "")
	require.Equal(t, http.StatusUnauthorized, boss.Do(http.MethodGet, credentials, "").Status, "admins end like everybody")
}

// A browser's session: what people look at, with the cookie; nothing of Mp1; and no other site
// can use it.
func TestALoginIsForPeopleOnly(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	c, app := s.Add("console", "reader"), s.Add("app-1")
	log := func(c mep.Credential, header ...string) mep.Answer {
		body := url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}}.Encode()
		return s.Do(http.MethodPost, "/login", body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}
	require.Equal(t, http.StatusUnauthorized, s.Do(http.MethodGet, "/metrics", "").Status)
	cookie := func(a mep.Answer) string {
		require.Equal(t, http.StatusSeeOther, a.Status, "%s", a.Body)
		all, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
		require.NoError(t, err)
		require.True(t, all.Secure && all.HttpOnly && all.SameSite == http.SameSiteStrictMode && all.Path == "/" && all.MaxAge <= 900)
		return all.Name + "=" + all.Value
	}
	session := cookie(log(c))
	s.Want(http.StatusOK, http.MethodGet, "/metrics", "", "Cookie", session)
	s.Want(http.StatusUnauthorized, http.MethodGet, mep.Base+"/services", "", "Cookie", session)
	own := cookie(log(app))
	s.Want(http.StatusForbidden, http.MethodGet, "/metrics", "", "Cookie", own)
	s.Want(http.StatusUnauthorized, http.MethodPost, mep.ServicesOf("app-1"), mep.Info("n", 30), "Cookie", own)
	require.Equal(t, http.StatusForbidden, log(c, "Sec-Fetch-Site", "cross-site").Status, "another site logs nobody in")
	require.Equal(t, http.StatusForbidden, log(c, "Origin", "https://elsewhere.example").Status)
	boss := cookie(log(s.Add("boss", "admin")))
	s.Want(http.StatusForbidden, http.MethodDelete, credentials+"/app-1", "", "Cookie", boss, "Sec-Fetch-Site", "cross-site")
	s.Want(http.StatusNoContent, http.MethodDelete, credentials+"/app-1", "", "Cookie", boss, "Sec-Fetch-Site", "same-origin")
	s.Want(http.StatusUnauthorized, http.MethodGet, "/metrics", "", "Cookie", own)
}

// ServiceComb's clients ask service-center for a token with an account's name and password.
func TestAServiceCombClientLogsInAsIntoServiceCenter(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	c := s.Add("sc", "registry")
	body, err := json.Marshal(map[string]string{"name": c.ID, "password": c.Secret})
	require.NoError(t, err)
	token := s.Want(http.StatusOK, http.MethodPost, "/v4/token", string(body)).Object(t)["token"].(string)
	s.WithToken(token).Want(http.StatusOK, http.MethodGet, "/v4/default/registry/microservices", "")
	s.Want(http.StatusUnauthorized, http.MethodPost, "/v4/token", `{"name":"sc","password":"wrong"}`)
	s.Want(http.StatusUnauthorized, http.MethodGet, "/v4/default/registry/microservices", "")
}
