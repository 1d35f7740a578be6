package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// Request is one request. The answer's body is kept only if Keep says so.
type Request struct {
	Method, Path, Body string
	Keep               bool
}

// Answer is what came back: its status, and the body if it was asked for.
type Answer struct {
	Status int
	Body   []byte // valid until the next request of the same Conn
}

// Conn sends one request at a time.
type Conn interface {
	Do(ctx context.Context, r Request) (Answer, error)
	Close()
}

// Dialer makes the connections of a client.
type Dialer func() Conn

// requestTimeout ends a request that is not answered.
const requestTimeout = time.Minute

// Wire is a client that speaks HTTP/1.1 by itself, each Conn on a connection of its own. It takes
// a fraction of the processor time that net/http's takes, which leaves the machine to the server.
// secure, if it is not nil, is for TLS.
func Wire(address string, secure *tls.Config) Dialer {
	return func() Conn { return &wire{address: address, secure: secure} }
}

type wire struct {
	address string
	secure  *tls.Config
	c       net.Conn
	r       *bufio.Reader
	out, in []byte
}

// Close closes the connection; another request makes a new one.
func (w *wire) Close() {
	if w.c != nil {
		_ = w.c.Close()
		w.c = nil
	}
}

func (w *wire) dial(ctx context.Context) (err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if w.secure != nil {
		w.c, err = (&tls.Dialer{NetDialer: &d, Config: w.secure}).DialContext(ctx, "tcp", w.address)
	} else {
		w.c, err = d.DialContext(ctx, "tcp", w.address)
	}
	if err != nil {
		w.c = nil
		return err
	}
	if w.r == nil {
		w.r = bufio.NewReaderSize(w.c, 8<<10)
	} else {
		w.r.Reset(w.c)
	}
	return nil
}

// Do sends a request. After an error the connection is made anew by the next one.
func (w *wire) Do(ctx context.Context, r Request) (a Answer, err error) {
	if w.c == nil {
		if err := w.dial(ctx); err != nil {
			return a, err
		}
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	w.out = append(w.out[:0], r.Method...)
	w.out = append(append(w.out, ' '), r.Path...)
	w.out = append(append(w.out, " HTTP/1.1\r\nHost: "...), w.address...)
	if r.Body != "" {
		w.out = append(w.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		w.out = strconv.AppendInt(w.out, int64(len(r.Body)), 10)
	}
	w.out = append(append(w.out, "\r\n\r\n"...), r.Body...)
	if err := w.c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return a, err
	}
	if _, err := w.c.Write(w.out); err != nil {
		return a, err
	}
	return w.read(r.Keep)
}

// read takes one answer.
func (w *wire) read(keep bool) (a Answer, err error) {
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." {
		return a, fmt.Errorf("no answer of HTTP/1.1: %.100q", line)
	}
	if a.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, err
	}
	length, chunked, end := int64(0), false, false
	for {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		name, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ":")
		if name == "" {
			break
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.ParseInt(value, 10, 64); err != nil {
				return a, err
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = true
		case strings.EqualFold(name, "Connection"):
			end = strings.EqualFold(value, "close")
		}
	}
	if err := w.body(keep, length, chunked); err != nil {
		return a, err
	}
	if keep {
		a.Body = w.in
	}
	if end {
		w.Close()
	}
	return a, nil
}

func (w *wire) body(keep bool, length int64, chunked bool) error {
	from := io.LimitReader(w.r, length)
	if chunked {
		from = httputil.NewChunkedReader(w.r)
	}
	w.in = w.in[:0]
	n := int64(0)
	if keep {
		buf := sink{&w.in}
		var err error
		if n, err = io.Copy(buf, from); err != nil {
			return err
		}
	} else if length > 0 || chunked {
		var err error
		if n, err = io.Copy(io.Discard, from); err != nil {
			return err
		}
	}
	if chunked {
		_, err := w.r.Discard(len("\r\n")) // behind the last chunk, where no trailer is
		return err
	}
	if n < length {
		return errors.New("the body of an answer was cut off")
	}
	return nil
}

// sink appends to a slice.
type sink struct{ to *[]byte }

func (s sink) Write(p []byte) (int, error) {
	*s.to = append(*s.to, p...)
	return len(p), nil
}
