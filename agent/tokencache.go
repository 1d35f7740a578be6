package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// fetchFunc asks a token server for a token. life is how long it is valid, 0 if the server
// does not say.
type fetchFunc func(ctx context.Context) (token string, life time.Duration, err error)

// tokenCache is a TokenSource that keeps a token and replaces it before it ends. However
// many wait for it, one request is under way. A token server that fails is asked again,
// after waits of up to 30 s, and the old token serves until it ends.
type tokenCache struct {
	fetchToken fetchFunc
	jitter     jitter

	mu        sync.Mutex
	token     string
	refresh   time.Time     // when to ask for the next one; zero: never
	expires   time.Time     // zero: nobody knows
	inFlight  chan struct{} // closed when the request under way is over; nil: there is none
	lastErr   error         // of the last request; nil: it brought a token
	failures  int           // in a row
	notUntil  time.Time     // no request before this
	fetchedAt time.Time
	refused   bool // the platform refused the token
	refusals  int  // in a row, of tokens younger than maxTokenRetry
}

const (
	tokenTimeout  = 10 * time.Second
	minTokenRetry = 500 * time.Millisecond
	maxTokenRetry = 30 * time.Second
)

// Token implements TokenSource. It waits for a token server only if no token is valid.
func (c *tokenCache) Token(ctx context.Context) (string, error) {
	for {
		c.mu.Lock()
		now := time.Now()
		valid := c.token != "" && (c.expires.IsZero() || now.Before(c.expires))
		wanted := !valid || !c.refresh.IsZero() && !now.Before(c.refresh)
		if wanted && c.inFlight == nil && !now.Before(c.notUntil) {
			c.startFetch(ctx)
		}
		token, flight, last := c.token, c.inFlight, c.lastErr
		c.mu.Unlock()
		switch {
		case valid:
			return token, nil
		case flight == nil:
			return "", last
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// left is how much longer a token is valid; 0 if it is not the one in use, or nobody knows.
func (c *tokenCache) left(token string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != token || c.expires.IsZero() {
		return 0
	}
	return max(time.Until(c.expires), 0)
}

// startFetch asks for a token, in a goroutine of its own: others wait for the answer even if
// the caller's context ends. The mutex is held.
func (c *tokenCache) startFetch(ctx context.Context) {
	done := make(chan struct{})
	c.inFlight = done
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout)
		defer cancel()
		token, life, err := c.fetchToken(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight = nil
		close(done)
		now := time.Now()
		if err != nil {
			c.lastErr = err
			c.failures++
			c.notUntil = now.Add(c.jitter.backoff(c.failures, minTokenRetry, maxTokenRetry))
			return
		}
		c.token, c.lastErr, c.failures, c.notUntil = token, nil, 0, time.Time{}
		c.fetchedAt, c.refused = now, false
		c.refresh, c.expires = time.Time{}, time.Time{}
		if life > 0 { // agents that started together do not ask together
			c.refresh = now.Add(time.Duration((0.70 + 0.15*c.jitter()) * float64(life)))
			c.expires = now.Add(life)
		}
	}()
}

// Reject implements TokenSource. A token that is refused is replaced at once. If the new one
// is refused as well, the fault may be the platform's, and the token server must not be
// asked with each request: the token stays in use until the next, after waits that grow.
func (c *tokenCache) Reject(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != token || c.refused {
		return
	}
	now := time.Now()
	if now.Sub(c.fetchedAt) > maxTokenRetry {
		c.refusals = 0
	}
	if c.refusals++; c.refusals == 1 {
		c.token = ""
		return
	}
	c.refused = true
	c.refresh = now.Add(c.jitter.backoff(c.refusals-1, minTokenRetry, maxTokenRetry))
}

// OAuth2Client is a client of an OAuth 2.0 token server.
type OAuth2Client struct {
	TokenURL string // of the token endpoint
	ClientID string
	Secret   func() (string, error) // called before each request for a token
	Scopes   []string               // asked for; may be empty
	// Transport carries the requests. If it is nil, http.DefaultTransport does.
	Transport http.RoundTripper
	// Explain may add to the error of a request for a token what to do: its result is what
	// logs show, and must wrap the error. nil: nothing is added.
	Explain func(error) error
}

// TokenServerError is the answer of a token server that made no token. It has nothing of the
// answer's text, which may repeat a secret.
type TokenServerError struct {
	Status int    // of HTTP
	Code   string // error code if it is one of RFC 6749 §5.2, else ""
}

// Error implements error.
func (e *TokenServerError) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("token server: %d, %s", e.Status, e.Code)
	}
	return fmt.Sprintf("token server: %d", e.Status)
}

// OAuth2 makes a source that asks for tokens by client credentials (RFC 6749 §4.4), and
// replaces each at 70 to 85 % of its life. A token server that fails is asked again after
// waits from 0.5 s to 30 s. No redirect is followed, and no error shows the secret.
func OAuth2(o OAuth2Client) TokenSource {
	return newTokenCache(func(ctx context.Context) (string, time.Duration, error) {
		secret, err := o.Secret()
		if err != nil {
			return "", 0, fmt.Errorf("client secret: %w", err)
		}
		ctx = context.WithValue(ctx, oauth2.HTTPClient, tokenClient(o.Transport))
		c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: secret, TokenURL: o.TokenURL, Scopes: o.Scopes}
		t, err := c.Token(ctx)
		if err != nil {
			if err = tokenError(err); o.Explain != nil {
				err = o.Explain(err)
			}
			return "", 0, err
		}
		if t.Expiry.IsZero() {
			return t.AccessToken, 0, nil
		}
		return t.AccessToken, max(time.Until(t.Expiry), time.Second), nil
	})
}

// tokenError is an error without the token server's answer, which may repeat a secret: only
// the status, and the error code if it is one of RFC 6749 §5.2.
func tokenError(err error) error {
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) || r.Response == nil {
		return fmt.Errorf("token server: %w", withoutURL(err))
	}
	switch r.ErrorCode {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return &TokenServerError{Status: r.Response.StatusCode, Code: r.ErrorCode}
	}
	return &TokenServerError{Status: r.Response.StatusCode}
}

func newTokenCache(f fetchFunc) *tokenCache { return &tokenCache{fetchToken: f, jitter: randomJitter} }

// tokenClient follows no redirect, which could send the secret to another host.
func tokenClient(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt, Timeout: tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
