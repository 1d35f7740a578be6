package events

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// pipe is a listener whose connections have no buffer: what is not read is not written.
type pipe chan net.Conn

func (p pipe) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipe) Close() error   { return nil }
func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

// What net/http makes of a write that fails is another thing with each version of HTTP.
func TestAReaderWhoStopsReadingIsCutAndCounted(t *testing.T) {
	for version, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(version, func(t *testing.T) {
			in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
				ended := make(chan struct{}, 3)
				protocols := new(http.Protocols)
				protocols.SetHTTP1(!h2)
				protocols.SetUnencryptedHTTP2(h2)
				srv := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r); ended <- struct{}{} })}
				l := make(pipe)
				go func() { _ = srv.Serve(l) }()
				defer func() { close(l); _ = srv.Close() }()
				open := func() (leave func()) {
					ours, theirs := net.Pipe()
					l <- theirs
					transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h"+mp1.EventsPath, http.NoBody)
					require.NoError(t, err)
					r.Header.Set("Last-Event-ID", "7")
					res, err := transport.RoundTrip(r) //nolint:bodyclose // what it returns does
					require.NoError(t, err)
					require.Equal(t, h2, res.ProtoMajor == 2)
					lines := bufio.NewReader(res.Body)
					line, err := lines.ReadString('\n')
					require.NoError(t, err)
					require.Contains(t, line, "retry")
					return func() { _, _ = ours.Close(), res.Body.Close() }
				}
				cut := func() float64 { return testutil.ToFloat64(w.metrics.cut.WithLabelValues(cutSlow)) }

				open()()
				w.see(added(10, "a", "x"))
				<-ended
				require.Zero(t, cut(), "who has gone is not slow")

				began := time.Now()
				leave := open()
				more := strings.Repeat("x", 64<<10) // beyond the windows of HTTP/2 and all buffers
				for at := 11; at < 100; at++ {
					w.see(added(heartbeat.Revision(at), "b", more))
				}
				<-ended
				require.GreaterOrEqual(t, time.Since(began), stall)
				require.EqualValues(t, 1, cut())
				leave()
				require.Zero(t, testutil.ToFloat64(w.metrics.readers))
			})
		})
	}
}
