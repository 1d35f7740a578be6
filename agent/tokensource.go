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

// TokenSource brings the bearer tokens of requests (RFC 6750). TokenFile, OAuth2 and
// EdgeGallery make one. Its methods may be called by many goroutines at once.
type TokenSource interface {
	// Token returns a token that is valid as far as the source knows. It is called for each
	// request, so that it should keep the token as long as it is valid.
	Token(ctx context.Context) (string, error)
	// Reject says that the platform refused the token with 401. The next call of Token
	// should return another, if there is one.
	Reject(token string)
}

// ErrToken is wrapped by the error of a request that was not sent because its TokenSource
// had no token.
var ErrToken = errors.New("no token")

// WithToken makes a transport that gives each request of base a token of the source, for programs
// that ask the platform beside an agent. A nil source gives none.
func WithToken(base http.RoundTripper, source TokenSource) http.RoundTripper {
	if source == nil {
		return base
	}
	return &tokenTransport{base: base, source: source}
}

// tokenTransport gives each request its token. After a 401 it sends the request once more
// if the source has another token.
type tokenTransport struct {
	base   http.RoundTripper
	source TokenSource
}

// RoundTrip implements http.RoundTripper.
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.source.Token(r.Context())
	if err != nil {
		closeBody(r)
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	resp, err := t.base.RoundTrip(withToken(r, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	t.source.Reject(token)
	again, ok := t.retry(r, token)
	if !ok {
		return resp, nil
	}
	drain(resp)
	return t.base.RoundTrip(again)
}

// retry is the same request with another token, if there is one and the body can be
// sent twice.
func (t *tokenTransport) retry(r *http.Request, refused string) (*http.Request, bool) {
	token, err := t.source.Token(r.Context())
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

// CloseIdleConnections is called by http.Client's method of that name.
func (t *tokenTransport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// withToken is a copy of the request with a token.
func withToken(r *http.Request, token string) *http.Request {
	out := r.Clone(r.Context()) // a RoundTripper must not change its request
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}

// closeBody closes the body of a request that is not sent, as a RoundTripper must.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// drain reads an answer to its end, so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// maxTokenBytes is the most that is read of a secret or of a token server's answer.
const maxTokenBytes = 16 << 10

// TokenFile makes a source that reads its token from a file: one line of printable ASCII, at
// most 16 KiB. The file may be replaced at any time. It is read again when its time or size
// has changed, or when the platform refused the token.
func TokenFile(path string) TokenSource { return &tokenFile{path: path} }

type tokenFile struct {
	path  string
	mu    sync.Mutex
	mtime time.Time
	size  int64
	token string
}

// Token implements TokenSource.
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

// Reject implements TokenSource.
func (f *tokenFile) Reject(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.token == token {
		f.token = ""
	}
}

// ReadSecret reads a secret from a file: one line of printable ASCII without spaces, at most
// 16 KiB. Spaces around it are dropped. An error never shows any of it.
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
