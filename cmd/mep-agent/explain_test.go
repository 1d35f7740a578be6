package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/test/pki"
)

// secured is a platform over TLS that asks for certificates of clients, has a token server, and
// refuses whoever shows no token.
func secured(t *testing.T, a, clients *pki.Authority, token int, answer string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/oauth2/token":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(token)
			_, _ = io.WriteString(w, answer)
		case r.Header.Get("Authorization") == "Bearer good":
			_, _ = io.WriteString(w, "[]")
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{a.Server("127.0.0.1").TLS}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.VerifyClientCertIfGiven, clients.Pool
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// secret is a file with a secret.
func secret(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(name, []byte("hush"), 0o600))
	return name
}

func TestCheckSaysWhyThereIsNoTokenAndWhatToDo(t *testing.T) {
	a := pki.New(t)
	for name, c := range map[string]struct {
		status       int
		answer, path string
		plain        bool // http:// on the port of TLS
		ca           string
		want         string // of the token's row; "": it is fine
	}{
		"good":         {status: 200, answer: `{"access_token":"good","token_type":"Bearer"}`, path: "/oauth2/token"},
		"wrong secret": {status: 401, answer: `{"error":"invalid_client","error_description":"hush"}`, path: "/oauth2/token", want: "token server: 401, invalid_client; identity.clientId or the secret is wrong, or was rotated or removed"},
		"scopes":       {status: 400, answer: `{"error":"invalid_scope"}`, path: "/oauth2/token", want: "token server: 400, invalid_scope; identity.scopes must be"},
		"path":         {status: 200, path: "/oauth/token", want: "token server: 401; is identity.tokenURL right? the platform's own ends in /oauth2/token"},
		"no such path": {status: 404, path: "/oauth2/token", want: "token server: 404; is identity.tokenURL right? the platform's own ends in /oauth2/token"},
		"redirect":     {status: 302, path: "/oauth2/token", want: "token server: 302; redirects are not followed"},
		"not now":      {status: 503, path: "/oauth2/token", want: "token server: 503"},
		"no TLS":       {status: 200, path: "/oauth2/token", plain: true, want: "token server: 400; does it speak TLS, so that it must be https://?"},
		"wrong CA":     {status: 200, path: "/oauth2/token", ca: pki.New(t).File, want: "platform.caFile must name the PEM file of the authority that signed it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := secured(t, a, nil, c.status, c.answer)
			ca, tokenURL := a.File, s.URL+c.path
			if c.ca != "" {
				ca = c.ca
			}
			if c.plain {
				tokenURL = strings.Replace(tokenURL, "https:", "http:", 1)
			}
			code, out, errs := checked(t, "application: {id: a}\nplatform: {timeout: 1m, endpoints: ['"+s.URL+"'], caFile: "+ca+"}\n"+
				"identity: {kind: oauth2, clientId: a, clientSecretFile: "+secret(t)+", tokenURL: '"+tokenURL+"'}\n"+services)
			require.NotContains(t, out, "hush")
			if c.want == "" {
				require.Equal(t, 0, code, "%s%s", out, errs)
				return
			}
			require.Equal(t, 2, code, "%s%s", out, errs)
			require.Regexp(t, `(?m)^identity +token +failed +.*`+regexp.QuoteMeta(c.want), out)
			require.NotContains(t, out, "refuses the token", "it was shown none")
			if c.ca == "" {
				require.Regexp(t, `(?m)^`+s.URL+` +TLS +ok `, out)
				require.Regexp(t, `(?m)^`+s.URL+` +Mp1 +skipped +not tried: there is no token$`, out)
			}
		})
	}
}

func TestCheckSaysWhatThePlatformHasAgainstACertificate(t *testing.T) {
	a, other := pki.New(t), pki.New(t)
	s := secured(t, a, a, http.StatusNotFound, "")
	for name, c := range map[string]struct {
		of   *pki.Authority
		want string
	}{
		"another authority": {other, "the platform's server.tls.clientCAFile does not hold the CA of platform.certFile"},
		"names nothing":     {a, "401 Unauthorized; the certificate names no application there (identity.certificate.pattern)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.of.Client("somebody")
			code, out, errs := checked(t, "application: {id: a}\nplatform: {timeout: 1m, endpoints: ['"+s.URL+"'], caFile: "+a.File+
				", certFile: "+p.CertFile+", keyFile: "+p.KeyFile+"}\n"+services)
			require.Equal(t, 2, code, "%s%s", out, errs)
			require.Regexp(t, `(?m)^`+s.URL+` +\S+ +failed .*`+regexp.QuoteMeta(c.want), out)
		})
	}
}

// A running agent logs the error of its source of tokens.
func TestTheErrorOfATokenSaysWhatToDoInLogsToo(t *testing.T) {
	err := explainToken(&agent.TokenServerError{Status: 401, Code: "invalid_client"}, "https://t/oauth2/token")
	require.EqualError(t, err, "token server: 401, invalid_client; identity.clientId or the secret is wrong, or was rotated or removed")
	var answer *agent.TokenServerError
	require.ErrorAs(t, err, &answer)
	require.Equal(t, io.EOF, explainToken(io.EOF, ""), "nobody knows what to do")
}
