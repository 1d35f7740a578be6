// Package run starts the built mepserver for tests that drive it over HTTP, and only
// for them. It knows the binary, its flags and its environment; it must not know
// anything of the program's inside.
package run

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/built"
)

// The times that end a broken test.
const (
	startTimeout   = time.Minute
	requestTimeout = 30 * time.Second
)

// Server is a running mepserver.
type Server struct {
	URL    string
	t      testing.TB
	binary string
	dir    string
	env    []string
	cmd    *exec.Cmd
	stderr *buffer
	client *http.Client
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// Log is what the server has written to its log.
func (s *Server) Log() []byte {
	s.stderr.mu.Lock()
	defer s.stderr.mu.Unlock()
	return bytes.Clone(s.stderr.b.Bytes())
}

var url = regexp.MustCompile(`http://\S+:\d+`)

// Start runs a server on a free loopback port, with data of its own, until the test
// ends; env are settings such as MEP_LIVENESS_HOLD=1s.
func Start(t testing.TB, binary string, env ...string) *Server {
	t.Helper()
	s, err := Launch(binary, t.TempDir(), env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s.For(t)
}

// Launch runs a server until it is killed.
func Launch(binary, dir string, env ...string) (*Server, error) {
	s := &Server{binary: binary, dir: dir, env: env, stderr: &buffer{}, client: &http.Client{Timeout: requestTimeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	return s, s.launch()
}

// For is the same server, whose failures end that test.
func (s *Server) For(t testing.TB) *Server {
	built.Depend()
	out := *s
	out.t = t
	return &out
}

func (s *Server) launch() error {
	built.Depend()
	s.cmd = exec.CommandContext(context.Background(), s.binary, "--listen", "127.0.0.1:0", "--data-dir", s.dir)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		said, _ := r.ReadString('\n')
		line <- said
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case said := <-line:
		if s.URL = url.FindString(said); s.URL == "" {
			s.Kill()
			return fmt.Errorf("mepserver says %q; its log:\n%s", said, s.Log())
		}
	case <-time.After(startTimeout):
		s.Kill()
		return fmt.Errorf("mepserver was not ready in time; its log:\n%s", s.Log())
	}
	return nil
}

// Kill ends the process as kill -9 does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Restart starts a killed server again on the same data; its URL changes.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.Kill)
}

// Response is an answer with its body read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request; header are pairs. A body is sent as JSON unless they say
// otherwise.
func (s *Server) Do(method, path, body string, header ...string) Response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return Response{res.StatusCode, res.Header, b}
}
