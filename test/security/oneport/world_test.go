//go:build linux

package oneport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// The addresses of the pod.
const (
	port     = "8088"
	loopback = "127.0.0.1"
	primary  = "10.244.0.8"
	primary6 = "fd00::8"
	multus   = "200.1.1.2"
	multus6  = "fd01::2"
)

// world is a platform in its pod, and the networks around it.
type world struct {
	pod, others, applications *namespace
	ca                        *pki.Authority
	dir                       string
	routes                    []route
}

func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	w := &world{ca: pki.New(t), dir: t.TempDir()}
	w.pod, w.others, w.applications = newNamespace(t), newNamespace(t), newNamespace(t)
	w.pod.link(t, "eth0", w.others)
	w.pod.link(t, "net1", w.applications)
	w.pod.ip(t, "address add 10.244.0.8/24 dev eth0", "address add fd00::8/64 dev eth0 nodad", "address add 200.1.1.2/24 dev net1", "address add fd01::2/64 dev net1 nodad",
		"route add default via 10.244.0.1", "route add default via fd00::1")
	w.others.ip(t, "address add 10.244.0.9/24 dev eth0", "address add 10.244.0.1/24 dev eth0", "address add fd00::9/64 dev eth0 nodad")
	w.applications.ip(t, "address add 200.1.1.7/24 dev net1", "address add fd01::7/64 dev net1 nodad",
		"route add 10.244.0.8 via 200.1.1.2", "route add fd00::8 via fd01::2")
	pair := w.ca.Server("edgegallery")
	for from, to := range map[string]string{pair.CertFile: "server.cer", pair.KeyFile: "server_key.pem", w.ca.File: "trust.cer"} {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, to), b, 0o600))
	}
	server := proc.Command{Program: "nsenter", Args: []string{"--net=" + w.pod.file(), mep.Binary()}, Env: append([]string{
		"SSL_ENABLED=true", "SSL_ROOT=" + w.dir, "MEPSERVER_APIGW_HOST=localhost", "MEPSERVER_APIGW_PORT=8444", "HTTP_PROTOCOL=https", "MEPSERVER_CERT_DOMAIN_NAME=edgegallery",
		"MEPAUTH_PORT_10443_TCP_ADDR=127.0.0.1", "MEPAUTH_SERVICE_PORT=9", "MEP_STORE_DATA_DIR=" + filepath.Join(w.dir, "data"),
		"MEP_LIMITS_WRITES_PER_SECOND=1000000", "MEP_LIMITS_WRITES_BURST=1000000", "MEP_LIMITS_LISTS_PER_SECOND=1000000", "MEP_LIMITS_REQUESTS_PER_SECOND=1000000"}, env...)}.Start(t)
	require.Contains(t, server.FirstLine(time.Minute), "ready", "%s", server.Stderr)
	w.readRoutes(t)
	ready := w.client(w.others, primary, false)
	wait.Until(t, "the networks are up", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://edgegallery/health", nil)
		require.NoError(t, err)
		res, err := ready.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	return w
}

// client calls an address of the pod from a namespace, by HTTP/2 or HTTP/1.1.
func (w *world) client(from *namespace, to string, second bool) *http.Client {
	return &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ForceAttemptHTTP2: second, TLSClientConfig: &tls.Config{RootCAs: w.ca.Pool, ServerName: "edgegallery", MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return from.dial(ctx, net.JoinHostPort(to, port))
			}}}
}

// send sends a request and gives the status of its answer.
func (w *world) send(t *testing.T, c *http.Client, method, path string, header []string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // a stream has no end
	body := io.Reader(http.NoBody)
	if method == "POST" || method == "PUT" || method == "PATCH" {
		body = strings.NewReader("{}")
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://mep-mm5.mep"+path, body)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	res, err := c.Do(r)
	require.NoError(t, err, "%s %s", method, path)
	_ = res.Body.Close()
	return res.StatusCode
}

// sendLine sends a request from the pod whose line nobody has put in order.
func (w *world) sendLine(t *testing.T, line string, header []string) int {
	t.Helper()
	plain, err := w.pod.dial(t.Context(), net.JoinHostPort(primary, port))
	require.NoError(t, err)
	c := tls.Client(plain, &tls.Config{RootCAs: w.ca.Pool, ServerName: "edgegallery", MinVersion: tls.VersionTLS12})
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	text := line + " HTTP/1.1\r\nHost: " + primary + ":" + port + "\r\n"
	for i := 0; i < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	_, err = io.WriteString(c, text+"Content-Length: 0\r\n\r\n")
	require.NoError(t, err)
	method, _, _ := strings.Cut(line, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(t, err, line)
	_ = res.Body.Close()
	return res.StatusCode
}

// admin asks the socket of the server's administrator.
func (w *world) admin(t *testing.T, path string) []byte {
	t.Helper()
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dir, "data", "admin.sock"))
	}}}
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
	require.NoError(t, err)
	res, err := c.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return b
}

// unsigned looks like a token of mepauth's for an application. Of those that the gateway passes
// on it has verified the signature.
func unsigned(of string) string {
	claims, err := json.Marshal(map[string]any{"iss": "mepauth", "sub": of, "exp": time.Now().Add(time.Hour).Unix(), "clientip": "10.244.0.9"})
	if err != nil { // plain data: cannot happen
		panic(err)
	}
	return fmt.Sprintf("%s.%s.AAAA", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS512","typ":"JWT"}`)), base64.RawURLEncoding.EncodeToString(claims))
}
