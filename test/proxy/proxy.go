// Package proxy is a TCP proxy whose link the tests break on purpose: it cuts, refuses,
// delays, loses, drips, or swallows one direction, and leads elsewhere. It must not know what runs
// through it.
package proxy

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/proc"
)

// Mode is what the link does to bytes.
type Mode int32

// The modes.
const (
	Pass      Mode = iota
	Refuse         // accept and close at once; what was open is cut
	Absent         // listen no more, so that the system refuses; what was open is cut
	Blackhole      // keep everything open and let nothing through, either way
	HalfUp         // nothing from the client to the server
	HalfDown       // nothing from the server to the client
	Delay          // everything so much later as SetDelay says
	Lossy          // everything as SetLoss says
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
	t      testing.TB
	mode   atomic.Int32
	delay  atomic.Int64
	loss   atomic.Int64 // in parts of a million
	opened atomic.Int64
	target atomic.Pointer[string]
	l      net.Listener // nil: Absent
	mu     sync.Mutex   // of l and open
	open   map[net.Conn]bool
	work   sync.WaitGroup
	closed atomic.Bool
}

// Start listens on a free loopback port until the test ends, and forwards to target, a
// host:port.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{Addr: proc.Free(t), t: t, open: map[net.Conn]bool{}}
	p.Lead(target)
	p.listen(true)
	t.Cleanup(func() {
		p.closed.Store(true)
		p.listen(false)
		p.Cut()
		p.work.Wait()
	})
	return p
}

// URL is the address as the endpoint of an HTTP server.
func (p *Proxy) URL() string { return "http://" + p.Addr }

// Lead forwards the connections to come to another target.
func (p *Proxy) Lead(target string) { p.target.Store(&target) }

// Opened is how many connections were made so far, refused ones apart.
func (p *Proxy) Opened() int { return int(p.opened.Load()) }

// Set changes what the link does from now on. Refuse and Absent cut what is open.
func (p *Proxy) Set(m Mode) {
	p.t.Helper()
	p.mode.Store(int32(m))
	p.listen(m != Absent)
	if m == Refuse || m == Absent {
		p.Cut()
	}
}

// listen has the proxy listen, or not.
func (p *Proxy) listen(on bool) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.l == nil:
		l, err := net.Listen("tcp", p.Addr) //nolint:noctx // closed with the test
		// A process that is just being started holds, for a moment, what listened there before.
		for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(step) {
			l, err = net.Listen("tcp", p.Addr) //nolint:noctx // closed with the test
		}
		if err != nil {
			p.t.Fatal(err)
		}
		p.l = l
		p.work.Go(func() { p.accept(l) })
	case !on && p.l != nil:
		_ = p.l.Close()
		p.l = nil
	}
}

// SetDelay is Set(Delay) with that delay.
func (p *Proxy) SetDelay(d time.Duration) {
	p.delay.Store(int64(d))
	p.Set(Delay)
}

// retransmission is when a sender first takes a segment for lost, which then doubles.
const retransmission = 200 * time.Millisecond

// SetLoss delays every piece by d, and loses a share of them, from 0 to 1, as often as chance
// has it. TCP sends again what is lost, so that it comes late, and all behind it.
func (p *Proxy) SetLoss(d time.Duration, share float64) {
	p.delay.Store(int64(d))
	p.loss.Store(int64(share * 1e6))
	p.Set(Lossy)
}

// lateness is how much later a piece comes.
func (p *Proxy) lateness() time.Duration {
	d := time.Duration(p.delay.Load())
	if p.is() != Lossy {
		return d
	}
	for again := retransmission; again < time.Minute && rand.Int64N(1e6) < p.loss.Load(); again *= 2 { //nolint:gosec // chance, no secret
		d += again
	}
	return d
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

func (p *Proxy) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		if p.is() == Refuse {
			_ = in.Close()
			continue
		}
		p.opened.Add(1)
		out, err := net.DialTimeout("tcp", *p.target.Load(), 5*time.Second) //nolint:noctx // bounded
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.open[in], p.open[out] = true, true
		p.mu.Unlock()
		if m := p.is(); p.closed.Load() || m == Refuse || m == Absent {
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
	due := time.Now().Add(p.lateness())
	for len(b) > 0 {
		n := len(b)
		switch m := p.is(); {
		case p.closed.Load(), m == Refuse, m == Absent:
			return false
		case m == Blackhole, m == swallowed, (m == Delay || m == Lossy) && time.Now().Before(due):
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
