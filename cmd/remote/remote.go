// Package remote reaches a running server for a command: at its URL, with whatever proves who
// asks, or by its admin socket. It knows transports, tokens and credential files; it must not
// know what is asked, nor flags. No secret is in its errors.
package remote

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
	"net/url"
	"time"

	"github.com/mec-liveness/mepserver/logs"
)

// Timeout is of one request with its answer.
const Timeout = 30 * time.Second

// maxAnswer is how much of an answer is read: a list of some ten thousand entries.
const maxAnswer = 16 << 20

// ErrUnreachable says that no server answers.
var ErrUnreachable = errors.New("no server is reached")

// Server is a server that can be asked.
type Server struct {
	// Base is the root of its URLs.
	Base *url.URL
	// Transport proves who asks, with each request, if anything does.
	Transport http.RoundTripper
	// Roots sign its certificate; nil: the system's.
	Roots *x509.CertPool
	// Local says that it is this machine's, asked by its admin socket.
	Local bool
	plain http.RoundTripper // sends no proof; nil: Transport does not either
	// Proved says that something proves who asks.
	Proved bool
}

// By asks through a transport that is the administrator's by itself, such as the admin
// socket. It gets requests to the host admin.
func By(transport http.RoundTripper) *Server {
	return &Server{Base: &url.URL{Scheme: "http", Host: "admin", Path: "/"}, Transport: transport, Local: true, Proved: true}
}

// Plain is the transport without what proves who asks.
func (s *Server) Plain() http.RoundTripper {
	if s.plain == nil {
		return s.Transport
	}
	return s.plain
}

// NewClient follows no redirect: it would carry the secret to somebody else.
func NewClient(transport http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Answer is what a server answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request whose URL is a path with a query, and reads the answer. The errors of the
// way are ErrUnreachable where nobody answered.
func (s *Server) Do(r *http.Request) (Answer, error) {
	query := r.URL.RawQuery
	r.URL, r.Host = s.Base.JoinPath(r.URL.EscapedPath()), ""
	r.URL.RawQuery = query
	res, err := NewClient(s.Transport, Timeout).Do(r)
	if err != nil {
		return Answer{}, OnTheWay(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("the server's answer could not be read: %w", err)
	case len(answer) > maxAnswer:
		return Answer{}, errors.New("the server's answer is too long")
	case res.StatusCode == http.StatusBadRequest && r.URL.Scheme == "http" && !json.Valid(answer):
		return Answer{}, fmt.Errorf("%w; does it speak TLS, so that --url must begin with https://?", Refusal(res.StatusCode, answer))
	}
	return Answer{res.StatusCode, res.Header, answer}, nil
}

// Refusal is the error of a status that was not hoped for, with the server's reason.
func Refusal(status int, answer []byte) error {
	var p struct{ Title, Detail string }
	_ = json.Unmarshal(answer, &p)
	reason := p.Detail
	if reason == "" {
		reason = p.Title
	}
	if reason == "" {
		reason = http.StatusText(status)
	}
	return fmt.Errorf("the server refused (%d): %s", status, logs.Clean(reason))
}

// Printable says whether texts are what a terminal may get: ASCII without control characters.
func Printable(texts ...string) bool {
	for _, s := range texts {
		for i := range len(s) {
			if s[i] < ' ' || s[i] > '~' {
				return false
			}
		}
	}
	return true
}

// OnTheWay is what went wrong between here and the server, with advice.
func OnTheWay(err error) error {
	var all *url.Error
	if !errors.As(err, &all) {
		return err
	}
	for errors.As(all.Err, &all) { // of the token endpoint, below the request that needs a token
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var ended x509.CertificateInvalidError
	var invalid *tls.CertificateVerificationError
	var op *net.OpError
	switch err = all.Err; {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; --ca FILE names the CA of the server, which mepserver init writes to ca.pem", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w; use a host that the certificate names, or have it made with mepserver init --renew --host", err)
	case errors.As(err, &ended) && ended.Reason == x509.Expired:
		return fmt.Errorf("%w; if the clocks here and there are right, have the server's certificate made anew with mepserver init --renew", err)
	case errors.As(err, &invalid):
		return err
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w; it speaks no TLS, so that --url must begin with http://", err)
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
