package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

const (
	headerTimeout   = 5 * time.Second
	bodyTimeout     = 10 * time.Second
	idleTimeout     = 90 * time.Second
	maxHeader       = 16 << 10
	shutdownTimeout = 4 * time.Second
	// maxNotification is more than a hundred references need.
	maxNotification = 1 << 20
)

// checkedAddress is an address of the command line, HOST:PORT or :PORT, with a host.
func checkedAddress(addr string) (string, error) {
	if strings.HasPrefix(addr, ":") { // not every address of the machine, unless 0.0.0.0 is given
		addr = "127.0.0.1" + addr
	}
	if err := conf.CheckListen(addr); err != nil {
		return "", fmt.Errorf("the address %w", err)
	}
	return addr, nil
}

// listen prints the notifications that arrive at an address, HOST:PORT or :PORT, until ctx
// ends.
func listen(ctx context.Context, o listenOptions, out io.Writer) error {
	addr, err := checkedAddress(o.address)
	if err != nil {
		return err
	}
	p := &printer{out: out, now: time.Now}
	var verifies string
	if o.verify != "" {
		var keys client.KeySource
		if keys, verifies, err = keySource(o); err != nil {
			return err
		}
		p.verifier = client.NewVerifier(keys)
	}
	secure, err := o.tls()
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", addr, errors.Unwrap(err))
	}
	at := l.Addr().String()
	if host, port, err := net.SplitHostPort(at); err == nil && net.ParseIP(host).IsUnspecified() {
		at = "ADDRESS:" + port + ", with an address of this machine that the platform may call"
	} else {
		at += "/"
	}
	scheme := "http"
	if secure != nil {
		scheme, l = "https", tls.NewListener(l, secure)
	}
	fmt.Fprintf(out, "listening; as callbackReference use %s://%s\n%s", scheme, at, verifies)
	srv := newServer(p)
	srv.ErrorLog = log.New(refusals{p}, "", 0)
	return serve(ctx, l, srv)
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
}

// serve answers on l until ctx ends, then waits for the requests in flight, but for no more
// than shutdownTimeout.
func serve(ctx context.Context, l net.Listener, srv *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return srv.Close()
	}
	return nil
}

// printer is a handler for callbacks of subscriptions, which prints what it is notified of
// (MEC 011 v3.1.1 §8.1.4.2).
type printer struct {
	mu       sync.Mutex // held while a notification is printed
	out      io.Writer
	now      func() time.Time
	verifier *client.Verifier // nil: everybody is believed
}

// notification is what is printed of a notification. Other members are ignored, for a
// platform may add some.
type notification struct {
	Type       string      `json:"notificationType"`
	References []reference `json:"serviceReferences"`
	Action     string      `json:"operationAction"`    // of a termination
	Timeout    uint32      `json:"maxGracefulTimeout"` // of a termination, in seconds
}

// reference is one change that a notification tells.
type reference struct {
	SerName    string `json:"serName"`
	InstanceID string `json:"serInstanceId"`
	State      string `json:"state"`
	ChangeType string `json:"changeType"`
}

// ServeHTTP answers 204 when a notification was printed.
func (p *printer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "notifications are POSTed", http.StatusMethodNotAllowed)
		return
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		http.Error(w, "a notification is application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "the notification is too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the notification could not be read to its end", http.StatusBadRequest)
		return
	}
	if p.verifier != nil {
		if err := p.verifier.Verify(r.Context(), r.Header, body); err != nil {
			p.refuse(w, r, err)
			return
		}
	}
	var n notification
	if err := json.Unmarshal(body, &n); err != nil || n.Type == "" {
		http.Error(w, "the body is not a notification with a notificationType", http.StatusBadRequest)
		return
	}
	if err := p.print(n, r.Header.Get("Webhook-Id")); err != nil {
		http.Error(w, "the notification could not be printed", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// isJSON reports whether a Content-Type is application/json or a type based on it.
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// print writes one line for each change. No value is trusted: see word.
func (p *printer) print(n notification, id string) error {
	var b strings.Builder
	at := p.now().Format("15:04:05.000")
	if n.Type == mp1.TerminationNotificationType {
		fmt.Fprintf(&b, "%s %-18s within %d s %s webhook-id=%s\n", at, word(n.Action), n.Timeout, word(n.Type), word(id))
	} else if len(n.References) == 0 {
		fmt.Fprintf(&b, "%s %s without references webhook-id=%s\n", at, word(n.Type), word(id))
	}
	for _, r := range n.References {
		fmt.Fprintf(&b, "%s %-18s %-9s %s serInstanceId=%s webhook-id=%s\n",
			at, word(r.ChangeType), word(r.State), word(r.SerName), word(r.InstanceID), word(id))
	}
	return p.write(b.String())
}

func (p *printer) write(lines string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := io.WriteString(p.out, lines)
	return err
}

// word makes one word of a value from outside, so that it cannot look like two or like
// another line: control characters are dropped, spaces are underscores, nothing is "-".
func word(s string) string {
	s = strings.Join(strings.Fields(logs.Clean(s)), "_")
	if s == "" {
		return "-"
	}
	return s
}
