// Package admin knows the Unix socket by which an administrator's commands reach the
// running server: how it is made, who may open it, and how it is reached. It must not
// know what the routes on it do, and what is served on it alone is never on the public port.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	dialTimeout   = 2 * time.Second
	headerTimeout = 5 * time.Second
	maxHeader     = 8 << 10
	// writeTimeout is how long the client may take to read one piece of a long response.
	writeTimeout = 30 * time.Second
	// longestPath is what fits into an address of a Unix socket on every system.
	longestPath = 100
)

// Plugin is the plugin that serves all routes that were given to Host.OnAdmin before it.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "admin", Setup: setup} }

func setup(ctx context.Context, h *plugins.Host) (func(context.Context) error, error) {
	path := h.Config.AdminSocket()
	if path == "" {
		return nil, nil
	}
	l, err := Listen(ctx, path)
	switch {
	case err != nil && h.Config.Server.AdminSocket == "": // nobody asked for it, and some volumes know no sockets
		h.Log.Warn("there is no admin socket: mepserver backup works only while no server runs", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot serve the admin socket %s: %w", path, err)
	}
	mux := http.NewServeMux()
	for _, r := range h.AdminRoutes() {
		mux.Handle(r.Pattern, audited(h, r))
	}
	for _, pattern := range operatorRoutes() {
		mux.Handle(pattern, audited(h, plugins.AdminRoute{Pattern: pattern, Handler: asOnThePort(h)}))
	}
	srv := &http.Server{Handler: writeDeadlines(mux), ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeader, ErrorLog: log.New(serverLog{h.Log}, "", 0)}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(l) })
	return func(context.Context) error {
		err := srv.Close()
		served.Wait()
		return err
	}, nil
}

// operatorRoutes are those of the server's port that are served here as well: what an operator asks
// at the machine, where he needs neither certificate nor credential.
func operatorRoutes() []string {
	return []string{"GET /ready", "GET /metrics", "GET " + mp1.LivenessBase + "/state", "GET " + mp1.LivenessBase + "/state/", "GET " + mp1.LivenessBase + "/store", "GET " + mp1.LivenessBase + "/events", "GET " + mp1.ChangesPath}
}

// asOnThePort serves a request as the port does whose caller is the administrator.
func asOnThePort(h *plugins.Host) http.Handler {
	port := sync.OnceValue(func() http.Handler { return h.Base.Handler() }) // complete when the setups are over
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Base == nil || !h.Ready() {
			server.RefuseError(w, heartbeat.ErrNotReady, 1)
			return
		}
		port().ServeHTTP(w, r.WithContext(plugins.WithCaller(r.Context(), administrator())))
	})
}

// administrator is who asks by the socket.
func administrator() *plugins.Caller {
	return &plugins.Caller{Name: "admin socket", Roles: []string{conf.RoleAdmin}, Source: "socket"}
}

// audited is a route's handler with a line in the audit log for each request: by the socket even
// who only reads gets a backup of everything.
func audited(h *plugins.Host, r plugins.AdminRoute) http.Handler {
	if h.Audit == nil {
		return r.Handler
	}
	caller := administrator()
	return h.Audit(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		plugins.NoteCaller(w, caller)
		plugins.NoteRoute(w, r.Pattern, true)
		r.Handler.ServeHTTP(w, req)
	}))
}

// serverLog writes what net/http itself logs to our log.
type serverLog struct{ log openlog.Logger }

func (s serverLog) Write(p []byte) (int, error) {
	s.log.Warn("the admin socket's server had to say something", openlog.WithTags(openlog.Tags{"reason": string(p)}))
	return len(p), nil
}

// writeDeadlines gives each piece of a response a deadline of its own. A client that stops
// reading must not hold a snapshot of the database for ever, and a backup may take long.
func writeDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(deadlineWriter{w, http.NewResponseController(w)}, r)
	})
}

type deadlineWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Unwrap is for http.ResponseController: a stream is flushed.
func (w deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w deadlineWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(p)
}

// socket is a listener that removes its file when it is closed.
type socket struct {
	net.Listener
	path string
	is   os.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (s *socket) Close() error {
	err := s.Listener.Close()
	s.once.Do(func() {
		if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.is) {
			_ = os.Remove(s.path) // unless another server has replaced it
		}
	})
	return err
}

// Listen makes the socket. It has mode 0600 before anybody can open it. A socket that a killed
// server left behind is replaced; one at which a server answers, and a file that is no
// socket, is an error.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".admin-*") // mode 0700
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(private) }()
	temp := filepath.Join(private, "s")
	address, done, err := addressOf(temp)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := new(net.ListenConfig).Listen(ctx, "unix", address)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // its name is another by then
	}
	is, err := os.Lstat(temp)
	if err == nil {
		err = os.Chmod(temp, 0o600)
	}
	if err == nil { // not before the mode is set: others could open it
		err = os.Rename(temp, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{Listener: l, path: path, is: is}, nil
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("there is a file of that name, which is no socket")
	}
	if c, err := dial(ctx, path); err == nil {
		_ = c.Close()
		return errors.New("another server answers there")
	}
	return os.Remove(path)
}

// addressOf is the path in a form that fits into an address.
func addressOf(path string) (address string, done func(), err error) {
	if len(path) <= longestPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { _ = dir.Close() }, nil
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	address, done, err := addressOf(path)
	if err != nil {
		return nil, err
	}
	defer done()
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "unix", address)
}

// ErrNotServed says that no server answers at the socket.
var ErrNotServed = errors.New("no server answers there")

// Served says whether a server answers at a socket.
func Served(ctx context.Context, path string) bool {
	c, err := dial(ctx, path)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// maxRefusal is how much of a refusal is read.
const maxRefusal = 1 << 10

// Transport sends requests to a running server by its socket, whatever host they name. Its
// error is ErrNotServed if there is no server.
func Transport(path string) http.RoundTripper {
	return transport{path, &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) }}}
}

type transport struct {
	path string
	by   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.by.RoundTrip(r)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Op == "dial", errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", t.path, ErrNotServed)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", t.path, err)
	}
	return res, nil
}

// Get sends a GET to a running server by its socket. The caller closes the body; length is -1
// if the server did not send it. A status other than 200 is an error, with what the server
// said; ErrNotServed: there is no server.
func Get(ctx context.Context, path, route string) (body io.ReadCloser, length int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+route, nil)
	if err != nil {
		return nil, 0, err
	}
	res, err := Transport(path).RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		_ = res.Body.Close()
		return nil, 0, fmt.Errorf("the server refused (%d): %s", res.StatusCode, plugins.Clean(strings.TrimSpace(string(b))))
	}
	return res.Body, res.ContentLength, nil
}
