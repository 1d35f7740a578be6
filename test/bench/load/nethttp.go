package load

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// Client sends by net/http's client, as most applications do, with whatever its transport proves.
// All its Conns share the client's connections. base is the root of the URLs.
func Client(base string, client *http.Client) Dialer {
	return func() Conn { return &shared{base: strings.TrimSuffix(base, "/"), client: client} }
}

type shared struct {
	base   string
	client *http.Client
}

// Close closes the connections that nobody uses now.
func (s *shared) Close() { s.client.CloseIdleConnections() }

// Do sends a request by the client.
func (s *shared) Do(ctx context.Context, r Request) (a Answer, err error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, s.base+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return a, err
	}
	if r.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	a.Status = res.StatusCode
	if r.Keep {
		a.Body, err = io.ReadAll(res.Body)
	} else {
		_, err = io.Copy(io.Discard, res.Body)
	}
	return a, err
}
