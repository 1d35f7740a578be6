package notify

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// piped is a webhook whose only consumer does what it likes once it has read the request,
// on the bubble's clock.
func piped(timeout time.Duration, do func(net.Conn)) *webhook {
	w := newWebhook(policy{loopback: true}, timeout, "test", nil)
	w.client.Transport.(*http.Transport).DialContext = tracked(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			r, err := http.ReadRequest(bufio.NewReader(theirs))
			if err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				do(theirs)
			}
		}()
		return ours, nil
	})
	return w
}

// repeat says a text again and again, with a pause before each time.
func repeat(c net.Conn, text string, pause time.Duration) {
	for {
		time.Sleep(pause)
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

// The status decides. The rest of a response is waited for no longer than restTimeout, and a
// consumer that needs longer counts as hanging; otherwise it would hold a permit of the
// prompt for ever.
func TestTheRestOfAnAnswerIsNotWaitedFor(t *testing.T) {
	const timeout = 10 * time.Second
	const length, chunked, early = "Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"
	ok := "HTTP/1.1 200 OK\r\n"
	hang := func(text string) func(net.Conn) {
		return func(c net.Conn) { say(text)(c); waits4End(c) }
	}
	late := func(text string, pause time.Duration, rest string) func(net.Conn) {
		return func(c net.Conn) { say(text)(c); time.Sleep(pause); say(rest)(c); waits4End(c) }
	}
	again := func(text string, pause time.Duration, rest string) func(net.Conn) {
		return func(c net.Conn) { say(text)(c); repeat(c, rest, pause) }
	}
	for name, c := range map[string]struct {
		do   func(net.Conn)
		want result
		took time.Duration
	}{
		"three bytes of a 200":        {hang(ok + length + "abc"), result{outcome: delivered, unfinished: true}, restTimeout},
		"three bytes of a 500":        {hang("HTTP/1.1 500 No\r\n" + length + "abc"), result{outcome: failed, unfinished: true}, restTimeout},
		"three bytes of a 404":        {hang("HTTP/1.1 404 No\r\n" + length + "abc"), result{outcome: refused, unfinished: true}, restTimeout},
		"three bytes of a 410":        {hang("HTTP/1.1 410 No\r\n" + length + "abc"), result{outcome: gone, unfinished: true}, restTimeout},
		"three bytes of a 302":        {hang("HTTP/1.1 302 No\r\n" + length + "abc"), result{outcome: redirected, unfinished: true}, restTimeout},
		"three bytes of a 503":        {hang("HTTP/1.1 503 No\r\nRetry-After: 7\r\n" + length + "abc"), result{failed, 7 * time.Second, true}, restTimeout},
		"nothing of a body":           {hang(ok + length), result{outcome: delivered, unfinished: true}, restTimeout},
		"a body byte by byte":         {again(ok+length, 30*time.Millisecond, "x"), result{outcome: delivered, unfinished: true}, restTimeout},
		"chunks without end":          {again(ok+chunked, 30*time.Millisecond, "1\r\nx\r\n"), result{outcome: delivered, unfinished: true}, restTimeout},
		"half a chunk":                {hang(ok + chunked + "100\r\nx"), result{outcome: delivered, unfinished: true}, restTimeout},
		"a chunk's length for ever":   {again(ok+chunked, 30*time.Millisecond, "0"), result{outcome: delivered, unfinished: true}, restTimeout},
		"a trailer that never ends":   {hang(ok + chunked + "1\r\nx\r\n0\r\nX: "), result{outcome: delivered, unfinished: true}, restTimeout},
		"a body until a close":        {hang(ok + "\r\nabc"), result{outcome: delivered, unfinished: true}, restTimeout},
		"other protocols, and hangs":  {hang("HTTP/1.1 101 So\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), result{outcome: failed, unfinished: true}, restTimeout},
		"hints, a 200, and hangs":     {late(early, time.Second, ok+length), result{outcome: delivered, unfinished: true}, time.Second + restTimeout},
		"a body that is late":         {late(ok+"Content-Length: 3\r\n\r\n", restTimeout+time.Millisecond, "abc"), result{outcome: delivered, unfinished: true}, restTimeout},
		"a body that is just in time": {late(ok+"Content-Length: 3\r\n\r\n", restTimeout-time.Millisecond, "abc"), result{outcome: delivered}, restTimeout - time.Millisecond},
		"a body of a kind that ends":  {func(c net.Conn) { say(ok + length + "abc")(c) }, result{outcome: delivered}, 0},
		"more than anybody wants":     {again(ok+"\r\n", time.Millisecond, strings.Repeat("x", 1024)), result{outcome: delivered}, 4 * time.Millisecond},
		"hints, and no more":          {hang(early), result{outcome: timedOut}, timeout},
		"hints without end":           {again("", time.Second, early), result{outcome: timedOut}, timeout},
		"a 100 without end":           {again("", time.Second, "HTTP/1.1 100 Continue\r\n\r\n"), result{outcome: timedOut}, timeout},
		"hints, and half a header":    {again(early+ok, time.Second, "X: y\r\n"), result{outcome: timedOut}, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				got := piped(timeout, c.do).post(t.Context(), delivery{id: "x", url: here, body: []byte("{}")}, 0)
				require.Equal(t, c.want, got)
				require.Equal(t, c.took, time.Since(began))
				time.Sleep(time.Minute) // until the consumer has noticed
				require.Equal(t, c.want.unfinished || c.want.outcome == timedOut, got.hung())
			})
		})
	}
}

func TestAnAnswerThatWasCutIsCounted(t *testing.T) {
	m := newMetrics(openlog.GetLogger())
	for _, r := range []result{{outcome: delivered, unfinished: true}, {outcome: failed, unfinished: true}, {outcome: delivered}, {outcome: timedOut}} {
		m.attempt(&plugins.Subscription{ID: "s"}, r, 0, false)
	}
	require.InDelta(t, 2, testutil.ToFloat64(m.unfinished), 0)
	require.InDelta(t, 2, testutil.ToFloat64(m.attempts.WithLabelValues("delivered")), 0)
}
