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

// fetchFunc asks for a token; life 0: nobody knows how long it is valid.
type fetchFunc func(ctx context.Context) (token string, life time.Duration, err error)

// tokenCache keeps a token and has it replaced in time, by one request whoever waits for
// it. A token server that fails is asked again for ever, at most every 30 s; until
// the old token ends, nobody notices.
type tokenCache struct {
	fetchToken fetchFunc
	jitter     jitter

	mu        sync.Mutex
	token     string
	refresh   time.Time // when to ask for the next one
	expires   time.Time // zero: not known
	inFlight  chan struct{}
	lastErr   error
	failures  int
	notUntil  time.Time // after a failure
	fetchedAt time.Time
	refused   bool // the token, by the platform
	refusals  int  // of young tokens in a row
}

const (
	tokenTimeout  = 10 * time.Second
	minTokenRetry = 500 * time.Millisecond
	maxTokenRetry = 30 * time.Second
)

// Token implements TokenSource.
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

// startFetch asks for a token. Whoever came first may leave before the answer is there.
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
		if life > 0 { // refreshed at 70 to 85 % of its life
			c.refresh = now.Add(time.Duration((0.70 + 0.15*c.jitter()) * float64(life)))
			c.expires = now.Add(life)
		}
	}()
}

// Reject implements TokenSource. The first refusal has another token fetched at once.
// If that is refused too, the fault may be the platform's, or one service's: it stays
// in use until its replacement, and replacements come at growing distances.
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

// OAuth2Client asks for tokens by client credentials (RFC 6749 §4.4).
type OAuth2Client struct {
	TokenURL string
	ClientID string
	Secret   func() (string, error) // read anew for each request
	Scopes   []string
	// Transport carries the requests. nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// OAuth2 makes a source that refreshes each token at 70 to 85 % of its life.
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
			return "", 0, tokenError(err)
		}
		if t.Expiry.IsZero() {
			return t.AccessToken, 0, nil
		}
		return t.AccessToken, max(time.Until(t.Expiry), time.Second), nil
	})
}

// tokenError keeps what the token server answered out of logs: only its status, and
// its error code if that is one of RFC 6749 §5.2.
func tokenError(err error) error {
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) || r.Response == nil {
		return fmt.Errorf("token server: %w", withoutURL(err))
	}
	switch r.ErrorCode {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return fmt.Errorf("token server: %d, %s", r.Response.StatusCode, r.ErrorCode)
	}
	return fmt.Errorf("token server: %d", r.Response.StatusCode)
}

func newTokenCache(f fetchFunc) *tokenCache { return &tokenCache{fetchToken: f, jitter: randomJitter} }

// tokenClient follows no redirect: the secret stays with whom it was meant for.
func tokenClient(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt, Timeout: tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
