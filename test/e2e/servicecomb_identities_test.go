package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// What a go-chassis application proves itself with, as docs/security.md shows it. go-chassis
// v2.7.1 reads none of its TLS settings if one of them is no text, and verifies nobody then.
const (
	chassisTLS = `
ssl:
  registrator.Consumer.verifyPeer: "true"
  registrator.Consumer.caFile: %[1]s
  serviceDiscovery.Consumer.verifyPeer: "true"
  serviceDiscovery.Consumer.caFile: %[1]s
  contractDiscovery.Consumer.verifyPeer: "true"
  contractDiscovery.Consumer.caFile: %[1]s
`
	chassisCertificate = chassisTLS + `
  registrator.Consumer.certFile: %[2]s
  registrator.Consumer.keyFile: %[3]s
  serviceDiscovery.Consumer.certFile: %[2]s
  serviceDiscovery.Consumer.keyFile: %[3]s
  contractDiscovery.Consumer.certFile: %[2]s
  contractDiscovery.Consumer.keyFile: %[3]s
`
	chassisAccount = `
servicecomb:
  credentials:
    cipher: default
    account:
      name: %s
      password: %s
`
)

// named is a client certificate that names an application.
func named(t *testing.T, ca *pki.Authority, app string) pki.Pair {
	t.Helper()
	return ca.Client(app, func(c *x509.Certificate) {
		u, err := url.Parse("urn:mec:app:" + app)
		require.NoError(t, err)
		c.URIs = []*url.URL{u}
	})
}

// written is a file of that name with a text.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// ServiceComb's own client finds, registers and watches over TLS by a certificate; by an
// account it does all but watch, for it opens its WebSocket without its token.
func TestServiceCombsGoClientProvesWhoItIs(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := built.Module(t, "test/e2e/clients", "./scclient")
	s := mep.Secure(t, append([]string{"MEP_IDENTITY_CERTIFICATE_ROLES=urn:mec:app:cart=registry"}, mep.Fast...)...)
	provider := s.Add("provider-1")
	host, beats := registerBackend(t, s.As(provider), "provider-1", "face-recognition")
	endpoints := "http://" + host + "/rni rest://" + host + "?urlPrefix=%2Frni"
	run := func(more ...string) *client {
		return runClient(t, program, append(append([]string{"-ca", s.CA.File}, more...), s.Listen, "provider-1", "face-recognition")...)
	}
	account := func(c mep.Credential) []string {
		return []string{"-account", c.ID, "-password", written(t, "password", c.Secret)}
	}
	require.Contains(t, run().await("FAILED"), "401")
	require.Contains(t, run(account(provider)...).await("FAILED"), "403", "an application has nothing to do there")
	require.Contains(t, run(account(mep.Credential{ID: provider.ID, Secret: "wrong"})...).await("FAILED"), "401")

	asFound := func(c *client) {
		require.Equal(t, "health UP rest://"+s.Listen+"?sslEnabled=true", c.await("health"))
		c.await("synced")
		require.Equal(t, "found UP "+endpoints, c.await("found"))
		require.Equal(t, "batch UP "+endpoints, c.await("batch"))
		c.await("instances 1")
	}
	c := run(account(s.Add("registry-1", "registry"))...)
	asFound(c)
	require.Contains(t, c.await("FAILED watching"), "bad handshake")

	own := named(t, s.CA, "cart")
	c = run("-cert", own.CertFile, "-key", own.KeyFile)
	asFound(c)
	c.await("watching")
	beats.Store(false)
	c.await("event DELETE UP provider-1 face-recognition")
	c.await("event CREATE OUTOFSERVICE provider-1 face-recognition")
	beats.Store(true)
	c.await("event UPDATE UP provider-1 face-recognition")
}

// A watch that is open ends with the credential that opened it: it would tell of everything
// for ever else.
func TestAWatchEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	open := func(c mep.Credential) (conn net.Conn, answers *bufio.Reader) {
		as := s.As(c)
		return openWatch(t, s, registeredAs(t, as, c.ID), &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}, "Authorization: Bearer "+as.Token(c)+"\r\n")
	}
	kept, ended := s.Add("kept", "registry"), s.Add("ended", "registry")
	keptConn, keptAnswers := open(kept)
	_, endedAnswers := open(ended)
	require.Equal(t, http.StatusNoContent, s.Admin(http.MethodDelete, "/mec_liveness/v1/credentials/ended", "").Status)
	_, err := io.Copy(io.Discard, endedAnswers) // until its end, however long that takes
	require.NoError(t, err)
	require.NoError(t, keptConn.SetReadDeadline(time.Now().Add(time.Second)))
	_, err = keptAnswers.ReadByte()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the other one is open")
}

// A watch has no more requests, at each of which TLS asks for the authority of a certificate.
func TestAWatchEndsWithTheAuthorityOfItsCertificate(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, "MEP_IDENTITY_CERTIFICATE_ROLES=urn:mec:app:till=registry")
	own := named(t, s.CA, "till")
	id := registeredAs(t, s.WithCertificate(own), "till")
	_, answers := openWatch(t, s, id, &tls.Config{RootCAs: s.Roots, Certificates: []tls.Certificate{own.TLS}, MinVersion: tls.VersionTLS12}, "")
	other, err := os.ReadFile(pki.New(t).File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.CA.File, other, 0o600))
	_, err = io.Copy(io.Discard, answers) // until its end, however long that takes
	require.NoError(t, err)
}

// What a consumer depends on cannot be deleted, and service-center notes that with a question.
func TestAReadersQuestionChangesNothing(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	owner, reader := s.As(s.Add("owner", "registry")), s.As(s.Add("looks", "reader"))
	consumer := registeredAs(t, owner, "consumer")
	ask := func(as *mep.Server, provider string) (id string) {
		id = registeredAs(t, owner, provider)
		as.Want(http.StatusOK, http.MethodGet, "/v4/default/registry/instances?appId=shop&serviceName="+provider+"&version=0.0.0%2B", "", "X-ConsumerId", consumer)
		as.Want(http.StatusOK, http.MethodPost, "/v4/default/registry/instances/action?type=query",
			`{"consumerServiceId":"`+consumer+`","services":[{"service":{"appId":"shop","serviceName":"`+provider+`","version":"0.0.0+"}}]}`)
		return id
	}
	byReader, byOwner := ask(reader, "looked-at"), ask(owner, "depended-on")
	providers := func() string {
		return string(owner.Want(http.StatusOK, http.MethodGet, "/v4/default/registry/microservices/"+consumer+"/providers", "").Body)
	}
	wait.Until(t, "the question that came later is noted", func() bool { return strings.Contains(providers(), byOwner) })
	require.NotContains(t, providers(), byReader)
}

// registeredAs registers a microservice and returns its id.
func registeredAs(t *testing.T, as *mep.Server, name string) string {
	t.Helper()
	var made struct{ ServiceID string }
	as.Want(http.StatusOK, http.MethodPost, "/v4/default/registry/microservices", `{"service":{"appId":"shop","serviceName":"`+name+`","version":"1.0.0"}}`).Into(t, &made)
	return made.ServiceID
}

// openWatch opens a watch of a microservice; header are lines of its request.
func openWatch(t *testing.T, s *mep.Secured, id string, secure *tls.Config, header string) (conn net.Conn, answers *bufio.Reader) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", s.Listen)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /v4/default/registry/microservices/%s/watcher HTTP/1.1\r\nHost: %s\r\n%sUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", id, s.Listen, header)
	require.NoError(t, err)
	answers = bufio.NewReader(conn)
	res, err := http.ReadResponse(answers, nil) //nolint:bodyclose // it has none
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	return conn, answers
}

// A go-chassis application calls a service that it finds over TLS, by account and by
// certificate, each with the configuration of docs/security.md.
func TestAGoChassisApplicationProvesWhoItIs(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := built.Module(t, "test/e2e/clients", "./chassis")
	s := mep.Secure(t, append([]string{"MEP_IDENTITY_CERTIFICATE_ROLES=urn:mec:app:till=registry"}, mep.Fast...)...)
	_, beats := registerBackend(t, s.As(s.Add("provider-2")), "provider-2", "radio-network")
	run := func(more ...string) *client {
		return runClient(t, program, append([]string{s.URL, proc.Free(t), "provider-2", "http://radio-network/rni/v2/queries"}, more...)...)
	}
	account, own := s.Add("till-account", "registry"), named(t, s.CA, "till")
	byAccount := run(written(t, "tls.yaml", fmt.Sprintf(chassisTLS, s.CA.File)), written(t, "auth.yaml", fmt.Sprintf(chassisAccount, account.ID, account.Secret)))
	byCertificate := run(written(t, "tls.yaml", fmt.Sprintf(chassisCertificate, s.CA.File, own.CertFile, own.KeyFile)))
	for range 2 {
		for _, c := range []*client{byAccount, byCertificate} {
			c.await("answer 200 called /rni/v2/queries")
		}
		beats.Store(false)
		for _, c := range []*client{byAccount, byCertificate} {
			c.await("error")
		}
		beats.Store(true)
	}
	existence := s.As(account).Do(http.MethodGet, "/v4/default/registry/existence?type=microservice&appId=shop&serviceName=till&version=1.0.0", "")
	require.Equal(t, http.StatusOK, existence.Status, "%s", existence.Body)
}

// scctl proves itself by a certificate only: it sends its token where nobody looks.
func TestScctlProvesWhoItIs(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	program := built.Module(t, "test/e2e/scctl", scctlPackage)
	s := mep.Secure(t, append([]string{"MEP_IDENTITY_CERTIFICATE_ROLES=urn:mec:app:operator=admin,urn:mec:app:console=reader"}, mep.Fast...)...)
	host, _ := registerBackend(t, s.As(s.Add("provider-3")), "provider-3", "location")
	scctl := func(own pki.Pair, args ...string) (code int, printed string) {
		t.Helper()
		code, p := proc.Command{Program: program, Args: append(args, "--addr", s.URL, "--ca", s.CA.File, "--cert", own.CertFile, "--key", own.KeyFile), Dir: t.TempDir()}.Run(t, 30*time.Second)
		return code, p.Both.String()
	}
	console, operator := named(t, s.CA, "console"), named(t, s.CA, "operator")
	for _, command := range []string{"health", "version"} {
		code, printed := scctl(console, command)
		require.Zero(t, code, printed)
	}
	wait.Until(t, "the instance is shown", func() bool {
		_, printed := scctl(operator, "get", "inst")
		return strings.Contains(printed, "rest://"+host) && strings.Contains(printed, "location")
	})
	_, printed := scctl(console, "get", "inst")
	require.NotContains(t, printed, "location", "the dump has service-center's environment: for admins")
}

// Two go-chassis applications over Mp1 and TLS, each with client credentials of its own.
func TestGoChassisApplicationsBecomeMECApplicationsWithCredentials(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	s := mep.Secure(t, mep.Fast...)
	with := func(configuration string, c mep.Credential) string {
		return configuration + fmt.Sprintf("  mec:\n    tokenURL: %s/oauth2/token\n    clientId: %s\n    clientSecretFile: %s\n", s.URL, c.ID, written(t, "secret", c.Secret)) +
			fmt.Sprintf(chassisTLS, s.CA.File)
	}
	consumer := runChassis(t, "consumer", with(fmt.Sprintf(consumerConfiguration, "mec", s.URL), s.Add("shop")), consumerDescription, "", "http://greeter/hello")
	consumer.await("error")
	stranger := runChassis(t, "provider", with(fmt.Sprintf(providerConfiguration, "mec", s.URL, proc.Free(t)), s.Add("other-app")), providerDescription, "GREETING=stranger")
	provider := runChassis(t, "provider", with(fmt.Sprintf(providerConfiguration, "mec", s.URL, proc.Free(t)), s.Add("greeting-app")), providerDescription, "GREETING=hello")
	consumer.await("answer 200 hello")
	require.Zero(t, provider.Terminate(), "%s", provider.Both)
	require.Equal(t, "[]", strings.TrimSpace(string(s.As(s.Add("reader", "reader")).Want(http.StatusOK, http.MethodGet, mep.Base+"/services", "").Body)),
		"it has deregistered, and who is another application never was registered as this one")
	stranger.Kill()
}
