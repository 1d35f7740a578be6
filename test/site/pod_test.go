package site

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/edgegallery/pin"
	"github.com/mec-liveness/mepserver/test/proc"
)

const (
	eguser   = 166 // and its group, of EdgeGallery's image
	password = "te9Fmv%qaq"
	rootKey  = "Zq8rootkey"
	around   = "https://" + primary + ":8088" // as Service mep-mm5 leads there
)

const configYAML = `# dns agent configuration
dnsAgent:
  # values: local, dataplane, all
  type: all
  # local dns server end point
  endPoint:
    address:
      host: localhost
      port: 8080

# data plane option to use in Mp2 interface
dataplane:
  # values: none
  type: none
`

// pod is EdgeGallery's pod with our program in place of its mepserver.
type pod struct {
	t      *testing.T
	root   string // of the container's file system
	certs  string // what the installer made
	env    []string
	server *proc.Process
	http   *http.Client
}

// newPod makes the pod as the chart does, and starts nothing yet. form is how the installer's
// OpenSSL writes an encrypted key: "" is 3.x, and "-traditional" what 1.x does.
func newPod(t *testing.T, form string) *pod {
	t.Helper()
	network(t)
	p := &pod{t: t, root: scratch(t), certs: scratch(t)}
	p.install(form)
	for _, dir := range []string{"usr/mep/data", "usr/mep/log"} {
		require.NoError(t, os.MkdirAll(p.path(dir), 0o755)) //nolint:gosec // as the volumes
		require.NoError(t, os.Chown(p.path(dir), eguser, eguser))
		require.NoError(t, os.Chmod(p.path(dir), 0o750)) //nolint:gosec // the same
	}
	for _, name := range []string{"server.cer", "server_key.pem", "trust.cer"} {
		b, err := os.ReadFile(filepath.Join(p.certs, name))
		require.NoError(t, err)
		p.mount("usr/mep/ssl_tmp/"+name, string(b))
	}
	p.mount("usr/mep/conf/mep/config.yaml", configYAML)
	p.mount("etc/hosts", "127.0.0.1 localhost\n"+primary+" mep-0\n") // kubelet makes it
	require.NoError(t, os.Mkdir(p.path("dev"), 0o755))               //nolint:gosec // every container has one
	require.NoError(t, syscall.Mknod(p.path("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3))
	require.NoError(t, os.Chmod(p.path("dev/null"), 0o666)) //nolint:gosec // the same
	program, err := os.ReadFile(os.Getenv(inPod))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.path("mepserver"), program, 0o755)) //nolint:gosec // it is run
	p.env = append(kubernetes("10.96.0.9", "10443"), "MEPSERVER_APIGW_HOST=localhost", "MEPSERVER_APIGW_PORT=8444", "HTTP_PROTOCOL=https", "MEPSERVER_CERT_DOMAIN_NAME=edgegallery",
		"SSL_ENABLED=true", "SSL_ROOT=/usr/mep/ssl", "ROOT_KEY="+strings.Repeat(rootKey, 26)[:256], "TLS_KEY="+password, "HOME=/usr/mep")
	p.http, err = pin.Client(pin.Options{CAFile: filepath.Join(p.certs, "trust.cer"), CommonName: "edgegallery", Timeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(p.http.CloseIdleConnections)
	return p
}

// kubernetes is what Kubernetes makes of the Services of the namespace: those of TCP.
func kubernetes(mepauth, port string) (env []string) {
	for _, s := range [][3]string{{"MEPAUTH", "10443", mepauth}, {"MEP_MM5", "80", "10.96.0.2"}, {"MEP_API_GW", "8443", "10.96.0.3"}, {"MEP_NTP", "123", "10.96.0.4"},
		{"MEP_ELASTICSEARCH", "9200", "10.96.0.5"}, {"PG_SERVICE", "5432", "10.96.0.6"}} {
		at, link := s[0]+"_PORT_"+s[1]+"_TCP", "tcp://"+s[2]+":"+s[1]
		env = append(env, s[0]+"_SERVICE_HOST="+s[2], s[0]+"_SERVICE_PORT="+s[1], s[0]+"_PORT="+link, at+"="+link, at+"_PROTO=tcp", at+"_PORT="+s[1], at+"_ADDR="+s[2])
	}
	return append(env, "MEPAUTH_SERVICE_PORT="+port)
}

func (p *pod) path(name string) string { return filepath.Join(p.root, name) }

// mount puts a file where the chart mounts one, as kubelet does.
func (p *pod) mount(name, text string) {
	p.t.Helper()
	require.NoError(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o755))  //nolint:gosec // another user reads it
	require.NoError(p.t, os.WriteFile(p.path(name), []byte(text), 0o644)) //nolint:gosec // the chart's mode
	require.NoError(p.t, os.Chmod(p.path(name), 0o644))                   //nolint:gosec // whatever the umask is
}

// set gives variables of the environment another value.
func (p *pod) set(env ...string) { p.env = append(p.env, env...) }

// unset takes one away.
func (p *pod) unset(name string) {
	p.env = slices.DeleteFunc(p.env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

// command is the container's process.
func (p *pod) command(args ...string) proc.Command {
	return proc.Command{Program: "chroot", Args: append([]string{"--userspec=166:166", "--groups=166", p.root, "/mepserver"}, args...), Env: p.env}
}

// start starts the container and waits until it is ready.
func (p *pod) start() *pod {
	p.t.Helper()
	p.server = p.command().Start(p.t)
	require.Contains(p.t, p.server.FirstLine(2*time.Minute), "ready on ", "%s", p.server.Stderr)
	return p
}

// restart ends the container as kubelet does, and starts it anew.
func (p *pod) restart() {
	p.t.Helper()
	require.Zero(p.t, p.server.TerminateWithin(10*time.Second), "%s", p.server.Stderr)
	p.start()
}

// answer is one answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request; header are pairs.
func (p *pod) ask(method, url, body string, header ...string) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, url, strings.NewReader(body))
	require.NoError(p.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	res, err := p.http.Do(r)
	require.NoError(p.t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

// want asks for an answer with that status.
func (p *pod) want(status int, method, url, body string, header ...string) answer {
	p.t.Helper()
	a := p.ask(method, url, body, header...)
	require.Equal(p.t, status, a.status, "%s %s: %s", method, url, a.body)
	return a
}

// install makes the certificates exactly as EdgeGallery's installer does.
func (p *pod) install(form string) {
	p.t.Helper()
	const ca, subject = "/C=CN/ST=Peking/L=Beijing/O=edgegallery/CN=edgegallery", "/C=CN/ST=Beijing/L=Beijing/O=edgegallery/CN=edgegallery"
	for _, line := range []string{
		"genrsa -out ca.key 2048",
		"req -new -key ca.key -subj " + ca + " -out ca.csr",
		"x509 -req -days 365 -in ca.csr -extensions v3_ca -signkey ca.key -out trust.cer",
		"genrsa -out tls.key 2048",
		"rsa -in tls.key -aes256 " + form + " -passout pass:" + password + " -out server_key.pem",
		"req -new -key tls.key -subj " + subject + " -out tls.csr",
		"x509 -req -days 365 -in tls.csr -extensions v3_req -CA trust.cer -CAkey ca.key -CAcreateserial -out server.cer",
	} {
		code, made := proc.Command{Program: "openssl", Args: strings.Fields(line), Dir: p.certs}.Run(p.t, time.Minute)
		require.Zero(p.t, code, "openssl %s: %s", line, made.Both)
	}
}
