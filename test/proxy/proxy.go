// Package proxy is a TCP proxy whose link the tests break on purpose: cut, refuse,
// delay, drip, or swallow one direction. It must not know what runs through it.
package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Mode is what the link does to bytes.
type Mode int32

// The modes.
const (
	Pass      Mode = iota
	Refuse         // accept and close at once; what was open is cut
	Blackhole      // keep everything open and let nothing through, either way
	HalfUp         // nothing from the client to the server
	HalfDown       // nothing from the server to the client
	Delay          // everything Proxy.Delay later
	Drip           // a byte each millisecond
)

// Nobody is a host:port that refuses connections until the test ends: the near end of a
// connection, which no listener can get meanwhile.
func Nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback, at once
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // to itself
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), l.Close() })
	return c.LocalAddr().String()
}

// Proxy forwards one listening address to one target.
type Proxy struct {
	Addr   string // host:port to connect to
	target string
	mode   atomic.Int32
	delay  atomic.Int64
	l      net.Listener
	mu     sync.Mutex
	open   map[net.Conn]bool
	work   sync.WaitGroup
	closed atomic.Bool
}

// Start listens on a free loopback port until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the test
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, l: l, open: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		p.closed.Store(true)
		_ = l.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Set changes what the link does from now on. Refuse cuts what is open.
func (p *Proxy) Set(m Mode) {
	p.mode.Store(int32(m))
	if m == Refuse {
		p.Cut()
	}
}

// SetDelay is Set(Delay) with that delay.
func (p *Proxy) SetDelay(d time.Duration) {
	p.delay.Store(int64(d))
	p.Set(Delay)
}

// Cut closes every open connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Proxy) is() Mode { return Mode(p.mode.Load()) }

func (p *Proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.is() == Refuse {
			_ = in.Close()
			continue
		}
		out, err := net.DialTimeout("tcp", p.target, 5*time.Second) //nolint:noctx // bounded
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.open[in], p.open[out] = true, true
		p.mu.Unlock()
		if p.closed.Load() || p.is() == Refuse {
			_, _ = in.Close(), out.Close()
		}
		var pair sync.WaitGroup
		pair.Go(func() { p.pump(out, in, HalfUp) })
		pair.Go(func() { p.pump(in, out, HalfDown) })
		p.work.Go(func() {
			pair.Wait()
			p.mu.Lock()
			delete(p.open, in)
			delete(p.open, out)
			p.mu.Unlock()
		})
	}
}

// pump copies one direction; swallowed is the mode that keeps its bytes.
func (p *Proxy) pump(to, from net.Conn, swallowed Mode) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.forward(to, buf[:n], swallowed) {
			return
		}
		if err != nil {
			return
		}
	}
}

const step = 10 * time.Millisecond

// forward writes what the link lets through, when it does.
func (p *Proxy) forward(to io.Writer, b []byte, swallowed Mode) bool {
	due := time.Now().Add(time.Duration(p.delay.Load()))
	for len(b) > 0 {
		n := len(b)
		switch m := p.is(); {
		case p.closed.Load(), m == Refuse:
			return false
		case m == Blackhole, m == swallowed, m == Delay && time.Now().Before(due):
			time.Sleep(step) // bytes wait, as they do behind a link that is down
			continue
		case m == Drip:
			time.Sleep(time.Millisecond)
			n = 1
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}
