package mep

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Answer is the response to a request, with its body read.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Try sends one request to a path of the server, or to a whole URL. header are pairs. A
// body is sent as JSON unless they say otherwise.
func (s *Server) Try(method, path, body string, header ...string) (Answer, error) {
	return s.try(context.Background(), method, path, body, header...)
}

func (s *Server) try(ctx context.Context, method, path, body string, header ...string) (Answer, error) {
	url := path
	if strings.HasPrefix(path, "/") {
		url = s.URL + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.bearer != nil {
		token, err := s.bearer()
		if err != nil {
			return Answer{}, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, b}, err
}

// Do is Try for a request that must be answered.
func (s *Server) Do(method, path, body string, header ...string) Answer {
	s.t.Helper()
	a, err := s.Try(method, path, body, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// Want is Do for a request that must be answered with this status.
func (s *Server) Want(status int, method, path, body string, header ...string) Answer {
	s.t.Helper()
	a := s.Do(method, path, body, header...)
	if a.Status != status {
		s.t.Fatalf("%s %s: %d, not %d: %s", method, path, a.Status, status, a.Body)
	}
	return a
}

// Into reads the body, which must be JSON, into v.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("%v: %s", err, a.Body)
	}
}

// Object is the body, which must be a JSON object.
func (a Answer) Object(t testing.TB) (m map[string]any) {
	t.Helper()
	a.Into(t, &m)
	return m
}

// List is the body, which must be a JSON array of objects.
func (a Answer) List(t testing.TB) (m []map[string]any) {
	t.Helper()
	a.Into(t, &m)
	return m
}

// TryMetric reads one series of /metrics; false: the server does not answer, or it has
// no such series.
func (s *Server) TryMetric(series string) (value float64, ok bool) {
	a, err := s.Try(http.MethodGet, "/metrics", "")
	if err != nil || a.Status != http.StatusOK {
		return 0, false
	}
	return a.metric(series)
}

// Metric reads one series of /metrics, which must be answered; 0: it is not there.
func (s *Server) Metric(series string) int {
	s.t.Helper()
	value, _ := s.Want(http.StatusOK, http.MethodGet, "/metrics", "").metric(series)
	return int(value)
}

func (a Answer) metric(series string) (float64, bool) {
	for line := range strings.Lines(string(a.Body)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return value, err == nil
		}
	}
	return 0, false
}
