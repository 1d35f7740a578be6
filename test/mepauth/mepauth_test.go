package mepauth

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const app = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"

func ask(t *testing.T, s *Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, strings.TrimSpace(string(b))
}

func TestTheStandInKeepsWhatAnApplicationRequires(t *testing.T) {
	s := Start(t)
	const path, from = "/mep/appMng/v1/applications/" + app + "/confs", "X-Real-Ip"
	status, _ := ask(t, s, "GET", path, "")
	require.Equal(t, 400, status, "there is no address of the caller")
	status, _ = ask(t, s, "GET", "/mep/appMng/v1/applications/app/confs", "", from, "10.0.0.1")
	require.Equal(t, 400, status, "the id is no UUID")
	status, _ = ask(t, s, "GET", path, "", from, "10.0.0.1")
	require.Equal(t, 400, status, "nobody knows the application")
	status, _ = ask(t, s, "PUT", path, `{"authInfo":{"credentials":{"accessKeyId":"a","secretKey":"s"}},"appInfo":{"appName":"n","requiredServices":["face","map"]}}`, from, "10.0.0.1")
	require.Equal(t, 200, status)
	status, body := ask(t, s, "GET", path, "", from, "10.0.0.1")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"required_services":"[\"face\",\"map\"]"`)
	require.True(t, s.Knows(app))
	status, _ = ask(t, s, "DELETE", path, "", from, "10.0.0.1")
	require.Equal(t, 200, status)
	require.False(t, s.Knows(app))
	require.Equal(t, "DELETE "+path, s.Requests()[5])
}

func TestTheStandInGivesTokensToWhoeverSigns(t *testing.T) {
	s := Start(t)
	s.SetKeys(app, "QVUJMSUMgS0VZLS0tLS0", "secret")
	status, _ := ask(t, s, "POST", "/mep/token", "", "Authorization",
		"SDK-HMAC-SHA256 Access=QVUJMSUMgS0VZLS0tLS0, SignedHeaders=content-type;host;x-sdk-date, Signature="+strings.Repeat("0", 64))
	require.Equal(t, 401, status)

	claims := s.Claims(s.Token(app, "10.0.0.1"))
	require.Equal(t, []any{Issuer, app, "10.0.0.1"}, []any{claims["iss"], claims["sub"], claims["clientip"]})
	require.Nil(t, s.Claims(s.Token(app, "10.0.0.1")+"A"))
	require.Nil(t, s.Claims(s.Token(app, "10.0.0.1", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})))
	require.Nil(t, s.Claims(s.Token(app, "10.0.0.1", map[string]any{"exp": nil})))
	pem, err := os.ReadFile(s.KeyFile)
	require.NoError(t, err)
	require.Contains(t, string(pem), "BEGIN PUBLIC KEY")
}
