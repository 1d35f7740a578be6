package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// longestFile is how much of a file with a secret is read, and of a token endpoint's answer.
const longestFile = 64 << 10

// tokenSource returns a token and until when it may be used; zero: as long as it is taken.
type tokenSource func(ctx context.Context) (token string, until time.Time, err error)

// bearer sends a token with each request.
type bearer struct {
	base   http.RoundTripper
	tokens tokenSource

	mu    sync.Mutex // also held while a token is asked for: all who wait want the same
	token string
	until time.Time
}

// RoundTrip implements http.RoundTripper. A token that is refused is not used again.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.current(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := b.base.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		b.mu.Lock()
		if b.token == token {
			b.token = ""
		}
		b.mu.Unlock()
	}
	return res, err
}

func (b *bearer) current(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && (b.until.IsZero() || time.Now().Before(b.until)) {
		return b.token, nil
	}
	var err error
	b.token, b.until, err = b.tokens(ctx)
	return b.token, err
}

// tokens is the source of a place; nil: there is none.
func (p Place) tokens(s *Server) (tokenSource, error) {
	endpoint, transport := s.Base.JoinPath("/oauth2/token"), s.Transport
	if p.TokenURL != "" {
		var err error
		if endpoint, err = parseURL(p.TokenURL, true); err != nil {
			return nil, errors.New("the token endpoint must begin with https://, for the secret goes there, or lead to this machine itself")
		}
	}
	exchange := func(read func() (Credential, error)) tokenSource {
		return func(ctx context.Context) (string, time.Time, error) {
			c, err := read()
			if err != nil {
				return "", time.Time{}, err
			}
			return getToken(ctx, NewClient(transport, Timeout), endpoint, c)
		}
	}
	switch {
	case p.TokenFile != "":
		if _, err := readToken(p.TokenFile); err != nil {
			return nil, err
		}
		return func(context.Context) (string, time.Time, error) {
			token, err := readToken(p.TokenFile) // it may have been replaced
			return token, time.Now().Add(time.Minute), err
		}, nil
	case p.CredentialFile != "":
		c, err := readCredential(p.CredentialFile)
		return exchange(func() (Credential, error) { return c, nil }), err
	case p.ClientID != "":
		read := func() (Credential, error) {
			if p.SecretFile == "" {
				return Credential{p.ClientID, p.Secret}, nil
			}
			secret, err := readSecret(p.SecretFile)
			return Credential{p.ClientID, secret}, err
		}
		c, err := read()
		if err == nil && c.Secret == "" {
			err = errors.New("there is no secret of the client id")
		}
		return exchange(read), err
	}
	return nil, nil
}

// Credential is what proves a client.
type Credential struct{ ID, Secret string }

// HoldsCredential says whether a file holds what is taken as a credential file.
func HoldsCredential(path string) bool {
	_, err := readCredential(path)
	return err == nil
}

func readCredential(path string) (c Credential, err error) {
	b, err := readFile(path)
	if err != nil {
		return c, err
	}
	if json.Unmarshal(b, &c) != nil || c.ID == "" || c.Secret == "" { // not shown: it may hold a secret
		return c, fmt.Errorf(`%s must hold a credential such as {"id": "…", "secret": "…"}, as mepserver app add -o json prints it`, path)
	}
	return c, nil
}

// readToken reads a file that holds nothing but a token.
func readToken(path string) (string, error) {
	token, err := readSecret(path)
	if err == nil && strings.ContainsAny(token, " \t") {
		err = fmt.Errorf("%s must hold one token and nothing else", path)
	}
	return token, err
}

// readSecret reads a file that holds one line.
func readSecret(path string) (string, error) {
	b, err := readFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(b))
	if text == "" || !Printable(text) {
		return "", fmt.Errorf("%s must hold one line of printable characters", path)
	}
	return text, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, longestFile))
}

// getToken exchanges the credential for a token (RFC 6749 §4.4, §2.3.1).
func getToken(ctx context.Context, client *http.Client, endpoint *url.URL, c Credential) (token string, until time.Time, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", until, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	asked := time.Now()
	res, err := client.Do(r)
	if err != nil {
		return "", until, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, longestFile))
	var answer struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
		Error   string  `json:"error"`
	}
	switch _ = json.Unmarshal(b, &answer); {
	case err != nil:
		return "", until, fmt.Errorf("the token endpoint's answer could not be read: %w", err)
	case res.StatusCode == http.StatusUnauthorized, answer.Error == "invalid_client":
		return "", until, errors.New("the server does not know the credential: its id or secret is wrong, or it was rotated or removed")
	case res.StatusCode == http.StatusBadRequest && endpoint.Scheme == "http" && answer.Error == "":
		return "", until, fmt.Errorf("%w; does it speak TLS, so that --url must begin with https://?", Refusal(res.StatusCode, b))
	case res.StatusCode != http.StatusOK:
		return "", until, Refusal(res.StatusCode, b)
	case answer.Token == "" || !Printable(answer.Token):
		return "", until, errors.New("the token endpoint's answer has no token; is it a mepserver with identity.issuer?")
	}
	if answer.Expires > 0 { // the next one is asked for before this one ends
		until = asked.Add(time.Duration(answer.Expires * 0.8 * float64(time.Second)))
	}
	return answer.Token, until, nil
}
