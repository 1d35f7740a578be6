// Package mep builds mepserver and mep-agent and runs mepserver for the tests: alone with
// a store of its own, or as a replica over an etcd cluster. It speaks Mp1 for them as an
// application does. It knows the binaries, their flags and the wire; it must not know
// anything of the program's inside.
//
//	func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }
//
//	s := mep.Start(t, mep.Fast...)
//	v := s.Register("app", "name", 1)
//	v.Beat()
//	wait.Until(t, "it is suspended", func() bool { return v.State() == "SUSPENDED" })
package mep

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// Fast is the quickest detection that the configuration allows: whoever asks for an
// interval of 1 s is suspended 2 s after its last heartbeat.
var Fast = []string{"MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1"}

const (
	startTimeout   = 2 * time.Minute  // ends a start that fails
	requestTimeout = 20 * time.Second // of a request, unless Options has another
)

// dir is where Build puts the programs; building guards what is put there later.
var (
	dir      string
	building sync.Mutex
)

// Build builds mepserver for the tests of this package. remove erases what it built.
func Build() (remove func(), err error) {
	if dir, err = os.MkdirTemp("", "mepserver-test-"); err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if _, err := built.Command(dir, "mepserver"); err != nil {
		remove()
		return nil, err
	}
	return remove, nil
}

// Main is for TestMain: it builds mepserver, runs the tests and returns the exit code.
func Main(m *testing.M) int {
	remove, err := Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	return m.Run()
}

// Binary is the path of the mepserver that Main or Build built.
func Binary() string { return filepath.Join(dir, "mepserver") }

// AgentBinary is the path of mep-agent, which the first test that needs it builds.
func AgentBinary(t testing.TB) string {
	t.Helper()
	built.Depend()
	return program(t, "mep-agent", "")
}

// FailpointBinary is the path of a mepserver that MEP_FAILPOINTS breaks on purpose.
func FailpointBinary(t testing.TB) string {
	t.Helper()
	return program(t, "mepserver", "failpoint")
}

// Limited is the path of a script that runs Binary() after a command of the shell, such as
// "ulimit -n 256".
func Limited(t testing.TB, command string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mepserver")
	text := fmt.Sprintf("#!/bin/sh\n%s\nexec '%s' \"$@\"\n", command, Binary())
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return path
}

func program(t testing.TB, name, tags string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	at := filepath.Join(dir, tags)
	path := filepath.Join(at, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	var flags []string
	if tags != "" {
		flags = []string{"-tags", tags}
	}
	path, err := built.Command(at, name, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Options say how a server is started. The zero value is one with a store of its own,
// which Main built, on a free loopback port.
type Options struct {
	Binary    string         // "": Binary()
	Listen    string         // host:port; "": a free one on loopback
	DataDir   string         // of its store; "": a new one, which goes with the test
	Endpoints []string       // of an etcd cluster, which is its store then
	Env       []string       // settings, such as MEP_LIVENESS_HOLD=1s
	Timeout   time.Duration  // of a request; 0: 20 s
	Roots     *x509.CertPool // that sign its certificate: it speaks HTTPS; nil: it does not

	StdoutTo, StderrTo *os.File // where its outputs go; nil: they are kept
}

// Server is a running mepserver. Its Options are filled in, and may be changed before a
// Restart.
type Server struct {
	Options
	*proc.Process
	URL  string
	Line string // what it printed when it was ready
	t    testing.TB
	http *http.Client
	// bearer is the token of each request; nil: none.
	bearer func() (string, error)
}

// Start runs a server with these settings until the test ends, and waits until it is
// ready.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	return Options{Env: env}.Start(t)
}

// Start is Start with Options.
func (o Options) Start(t testing.TB) *Server {
	t.Helper()
	if o.DataDir == "" && o.Endpoints == nil {
		o.DataDir = t.TempDir()
	}
	s, err := o.Launch()
	if err != nil {
		t.Fatal(err)
	}
	s = s.For(t)
	t.Cleanup(func() { s.Kill(); s.http.CloseIdleConnections() })
	return s
}

// Launch runs a server until its caller kills it. Without Endpoints, Options must name a
// DataDir.
func (o Options) Launch() (*Server, error) {
	if dir == "" && o.Binary == "" {
		return nil, errors.New("nothing is built: TestMain must call mep.Main")
	}
	o.Binary, o.Listen = cmp.Or(o.Binary, Binary()), cmp.Or(o.Listen, proc.FindFree())
	s := &Server{Options: o, URL: "http://" + o.Listen}
	s.http = s.client(&http.Transport{MaxIdleConnsPerHost: 1024})
	if o.Roots != nil {
		s.URL, s.http = "https://"+o.Listen, s.HTTPClient()
	}
	return s, s.launch()
}

func (s *Server) client(t http.RoundTripper) *http.Client {
	return &http.Client{Timeout: cmp.Or(s.Timeout, requestTimeout), Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// For is the same server, whose failures end that test.
func (s *Server) For(t testing.TB) *Server {
	built.Depend()
	out := *s
	out.t = t
	return &out
}

// T is the test that the server's failures end.
func (s *Server) T() testing.TB { return s.t }

// Restart starts a server that has ended anew, at the same address and with the same
// data, and waits until it is ready. What it prints is kept from then on.
func (s *Server) Restart() {
	s.t.Helper()
	built.Depend()
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) launch() error {
	args := []string{"--listen", s.Listen, "--data-dir", s.DataDir}
	if s.Endpoints != nil {
		args = []string{"--listen", s.Listen, "--etcd-endpoints", strings.Join(s.Endpoints, ",")}
	}
	var err error
	s.Process, err = proc.Command{Program: s.Binary, Args: args, Env: s.Env, StdoutTo: s.StdoutTo, StderrTo: s.StderrTo}.Launch()
	if err == nil {
		err = s.ready()
	}
	if err != nil && s.Process != nil {
		s.Kill()
	}
	return err
}

// ready waits for the line that says so or, where its standard output is not kept, for
// the route that does.
func (s *Server) ready() error {
	if s.StdoutTo == nil {
		if s.Line = s.FirstLine(startTimeout); strings.Contains(s.Line, s.URL) {
			return nil
		}
		return fmt.Errorf("mepserver is not ready; it printed %q and\n%s", s.Line, s.Stderr)
	}
	for end := time.Now().Add(startTimeout); time.Now().Before(end) && !s.Ended(); time.Sleep(20 * time.Millisecond) {
		if a, err := s.Try(http.MethodGet, "/ready", ""); err == nil && a.Status == http.StatusOK {
			return nil
		}
	}
	return errors.New("mepserver is not ready")
}

// Stop asks the server to stop, which must succeed within the ten seconds that it
// promises.
func (s *Server) Stop() {
	s.t.Helper()
	if code := s.TerminateWithin(10 * time.Second); code != 0 {
		s.t.Fatalf("exit %d, not 0 within ten seconds; its log:\n%s", code, s.Stderr)
	}
}

// Log is what the server has logged since its start, once nothing was added for a while.
func (s *Server) Log() string { return s.Stderr.Settled() }
