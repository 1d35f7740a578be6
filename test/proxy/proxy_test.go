package proxy_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proxy"
)

// server answers each byte with a fixed one.
func server(t *testing.T, answer byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for b := make([]byte, 1); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
					_, _ = c.Write([]byte{answer})
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *proxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a byte and returns what comes back within a while.
func ask(c net.Conn) (string, error) {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write([]byte("?")); err != nil {
		return "", err
	}
	b := make([]byte, 1)
	_, err := io.ReadFull(c, b)
	return string(b), err
}

func TestALinkPassesAndLeadsElsewhere(t *testing.T) {
	p := proxy.Start(t, server(t, '1'))
	first := dial(t, p)
	got, err := ask(first)
	require.NoError(t, err)
	require.Equal(t, "1", got)
	p.Lead(server(t, '2'))
	got, err = ask(first)
	require.NoError(t, err)
	require.Equal(t, "1", got, "what is open stays where it is")
	got, err = ask(dial(t, p))
	require.NoError(t, err)
	require.Equal(t, "2", got)
	require.Equal(t, 2, p.Opened())
}

func TestALinkThatIsGoneComesBackAtItsAddress(t *testing.T) {
	p := proxy.Start(t, server(t, '1'))
	for range 2 {
		open := dial(t, p)
		_, err := ask(open)
		require.NoError(t, err)
		p.Set(proxy.Absent)
		_, err = ask(open)
		require.Error(t, err, "it was cut")
		_, err = net.Dial("tcp", p.Addr)
		require.ErrorContains(t, err, "refused")
		p.Set(proxy.Pass)
		_, err = ask(dial(t, p))
		require.NoError(t, err)
	}
	p.Set(proxy.Refuse)
	_, err := ask(dial(t, p))
	require.Error(t, err, "it is accepted and closed")
}

func TestWhatIsSwallowedComesWhenTheLinkIsBack(t *testing.T) {
	for _, mode := range []proxy.Mode{proxy.Blackhole, proxy.HalfUp, proxy.HalfDown} {
		p := proxy.Start(t, server(t, '1'))
		c := dial(t, p)
		_, err := ask(c)
		require.NoError(t, err)
		p.Set(mode)
		_, err = c.Write([]byte("?"))
		require.NoError(t, err)
		b := make([]byte, 1)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		_, err = c.Read(b)
		require.Error(t, err, "nothing comes through")
		p.Set(proxy.Pass)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = c.Read(b)
		require.NoError(t, err)
	}
	p := proxy.Start(t, server(t, '1'))
	c := dial(t, p)
	p.SetDelay(50 * time.Millisecond)
	began := time.Now()
	_, err := ask(c)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond, "both ways")
}

func TestWhatIsLostComesLateAndInOrder(t *testing.T) {
	p := proxy.Start(t, server(t, '1'))
	c := dial(t, p)
	p.SetLoss(0, 1)
	_, err := c.Write([]byte("?"))
	require.NoError(t, err)
	b := make([]byte, 1)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = c.Read(b)
	require.Error(t, err)
	p.Set(proxy.Pass)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = c.Read(b)
	require.NoError(t, err, "it comes all the same")
	p.SetLoss(time.Millisecond, 0.1)
	for range 20 {
		_, err = ask(c)
		require.NoError(t, err)
	}
}
