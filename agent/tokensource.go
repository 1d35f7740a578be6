package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// TokenSource brings bearer tokens. It may be used by many goroutines.
type TokenSource interface {
	// Token is valid as far as the source knows.
	Token(ctx context.Context) (string, error)
	// Reject tells that the platform refused this token (401), so that the next
	// call of Token brings another, if there is one.
	Reject(token string)
}

// ErrToken is the error of a request that was not sent because no token could be had.
var ErrToken = errors.New("no token")

// tokenTransport gives each request its token, and once more with a new one after a 401.
type tokenTransport struct {
	base   http.RoundTripper
	source TokenSource
}

func (b *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.source.Token(r.Context())
	if err != nil {
		closeBody(r)
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	resp, err := b.base.RoundTrip(withToken(r, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	b.source.Reject(token)
	again, ok := b.retry(r, token)
	if !ok {
		return resp, nil // the refusal is the answer
	}
	drain(resp)
	return b.base.RoundTrip(again)
}

// retry is the same request with another token, if there is one and the body can be
// sent twice.
func (b *tokenTransport) retry(r *http.Request, refused string) (*http.Request, bool) {
	token, err := b.source.Token(r.Context())
	if err != nil || token == refused || (r.Body != nil && r.GetBody == nil) {
		return nil, false
	}
	out := withToken(r, token)
	if r.GetBody != nil {
		if out.Body, err = r.GetBody(); err != nil {
			return nil, false
		}
	}
	return out, true
}

// CloseIdleConnections is what http.Client looks for.
func (b *tokenTransport) CloseIdleConnections() {
	if c, ok := b.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func withToken(r *http.Request, token string) *http.Request {
	out := r.Clone(r.Context()) // a RoundTripper must not change its request
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

const maxTokenBytes = 16 << 10

// TokenFile reads the token from a file, again whenever the file has changed or the
// token was refused: who writes it may replace it at any time.
func TokenFile(path string) TokenSource { return &tokenFile{path: path} }

type tokenFile struct {
	path  string
	mu    sync.Mutex
	mtime time.Time
	size  int64
	token string
}

func (f *tokenFile) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if f.token != "" && info.ModTime().Equal(f.mtime) && info.Size() == f.size {
		return f.token, nil
	}
	token, err := ReadSecret(f.path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	f.token, f.mtime, f.size = token, info.ModTime(), info.Size()
	return token, nil
}

func (f *tokenFile) Reject(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.token == token {
		f.token = ""
	}
}

// ReadSecret reads a secret of one line from a file. Its errors hold nothing of it.
func ReadSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(file, maxTokenBytes+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" || len(data) > maxTokenBytes || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("must hold one line of printable ASCII without spaces")
	}
	return secret, nil
}
