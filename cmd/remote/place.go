package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
)

// Place says where a server is and what proves who asks: nothing, a token, a credential that is
// exchanged for one, or a client certificate.
type Place struct {
	URL    string
	CAFile string // of certificates that sign the server's; "": the system's

	TokenFile string // holds a bearer token
	// CredentialFile holds the JSON object that mepserver app add -o json writes.
	CredentialFile string
	// ClientID, and its secret or the file that holds it, are a credential otherwise.
	ClientID, Secret, SecretFile string
	TokenURL                     string // where a credential is exchanged; "": /oauth2/token of the server

	CertFile, KeyFile string // of a client certificate
}

// carriesSecret says whether anything is sent that others must not read.
func (p Place) carriesSecret() bool {
	return p.TokenFile != "" || p.CredentialFile != "" || p.ClientID != ""
}

// At asks the server at a place. It reads the files and sends nothing.
func At(p Place) (*Server, error) {
	u, err := parseURL(p.URL, p.carriesSecret())
	if err != nil {
		return nil, err
	}
	pool, err := authorities(p.CAFile)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	plain := &http.Transport{TLSClientConfig: secure.Clone(), ForceAttemptHTTP2: true}
	if (p.CertFile == "") != (p.KeyFile == "") {
		return nil, errors.New("a client certificate needs --cert and --key")
	}
	if p.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("the client certificate: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	s := &Server{Base: u, Transport: &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true}, Roots: pool, plain: plain,
		Proved: p.carriesSecret() || p.CertFile != ""}
	tokens, err := p.tokens(s)
	if err != nil {
		return nil, err
	}
	if tokens != nil {
		s.Transport = &bearer{base: s.Transport, tokens: tokens}
	}
	return s, nil
}

// parseURL takes https where a secret goes there, and http on loopback.
func parseURL(base string, secret bool) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("--url must be like https://mep.example.org:30100, without user, query or fragment")
	}
	if secret && u.Scheme == "http" && !OnLoopback(u.Hostname()) {
		return nil, errors.New("--url must begin with https://, for the secret goes there; http:// only leads to this machine itself")
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath would make a path that does not begin with one
	}
	return u, nil
}

// OnLoopback says whether a host is this machine itself.
func OnLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // the system's
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}
