package adminapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// At asks the server at a URL, as the client of a credential file: the JSON object that
// mepserver app add -o json writes. caFile holds the certificates that sign the server's;
// empty: the system's.
func At(base, caFile, credentialFile string) (*API, error) {
	u, err := parseURL(base)
	if err != nil {
		return nil, err
	}
	pool, err := authorities(caFile)
	if err != nil {
		return nil, err
	}
	c, err := readCredential(credentialFile)
	if err != nil {
		return nil, err
	}
	client := newClient(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true})
	token := ""
	return &API{func(r *http.Request) (*http.Response, error) {
		if token == "" {
			if token, err = getToken(r.Context(), client, u, c); err != nil {
				return nil, err
			}
		}
		path := r.URL.Path
		r.URL, r.Host = u.JoinPath(path), ""
		r.Header.Set("Authorization", "Bearer "+token)
		return client.Do(r)
	}}, nil
}

// parseURL takes https, for the secret goes there, and http on loopback.
func parseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("--url must be like https://mep.example.org:30100, without user, query or fragment")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, errors.New("--url must begin with https://, for the secret goes there; http:// only leads to this machine itself")
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath would make a path that does not begin with one
	}
	return u, nil
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

// HoldsCredential says whether a file holds what At takes as a credential file.
func HoldsCredential(path string) bool {
	_, err := readCredential(path)
	return err == nil
}

// longestCredential is how much of a credential file is read.
const longestCredential = 64 << 10

func readCredential(path string) (c Issued, err error) {
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, longestCredential))
	if err != nil {
		return c, err
	}
	if json.Unmarshal(b, &c) != nil || c.ID == "" || c.Secret == "" { // not shown: it may hold a secret
		return c, fmt.Errorf(`%s must hold a credential such as {"id": "…", "secret": "…"}, as mepserver app add -o json prints it`, path)
	}
	return c, nil
}

// getToken exchanges the credential for a token (RFC 6749 §4.4, §2.3.1).
func getToken(ctx context.Context, client *http.Client, base *url.URL, c Issued) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath("/oauth2/token").String(), strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	res, err := client.Do(r)
	if err != nil {
		return "", onTheWay(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, longestCredential))
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	switch _ = json.Unmarshal(b, &answer); {
	case err != nil:
		return "", fmt.Errorf("the token endpoint's answer could not be read: %w", err)
	case res.StatusCode == http.StatusUnauthorized, answer.Error == "invalid_client":
		return "", errors.New("the server does not know the credential: its id or secret is wrong, or it was rotated or removed")
	case res.StatusCode == http.StatusBadRequest && base.Scheme == "http" && answer.Error == "":
		return "", fmt.Errorf("%w; does it speak TLS, so that --url must begin with https://?", refusal(res, b))
	case res.StatusCode != http.StatusOK:
		return "", refusal(res, b)
	case answer.Token == "" || !printable(answer.Token):
		return "", errors.New("the token endpoint's answer has no token; is it a mepserver with identity.issuer?")
	}
	return answer.Token, nil
}

// onTheWay is what went wrong between here and the server, with advice.
func onTheWay(err error) error {
	var all *url.Error
	if !errors.As(err, &all) {
		return err
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var op *net.OpError
	switch err = all.Err; {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; --ca FILE names the CA of the server, which mepserver init writes to ca.pem", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w; use a host that the certificate names, or have it made with mepserver init --renew --host", err)
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no server is reached: %w", err)
	}
	return err
}
