package edgegallery

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

func records(ttl uint32, addresses ...string) (out []driver.Record) {
	for _, a := range addresses {
		out = append(out, driver.Record{Address: netip.MustParseAddr(a), TTL: ttl})
	}
	return out
}

func TestASetIsAddedReplacedRepeatedAndRemoved(t *testing.T) {
	s := newDNSServer(t)
	d, ctx := s.driver(), t.Context()
	const name = "Cam.mec.example"
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(30, "10.0.0.1")))
	assert.Equal(t, resourceRecord{"cam.mec.example.", "A", "IN", 30, []string{"10.0.0.1"}}, s.records["cam.mec.example. A"])
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(60, "10.0.0.2", "10.0.0.3", "10.0.0.2")))
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(60, "10.0.0.2", "10.0.0.3")))
	assert.Equal(t, resourceRecord{"cam.mec.example.", "A", "IN", 60, []string{"10.0.0.2", "10.0.0.3"}}, s.records["cam.mec.example. A"])
	require.NoError(t, d.Set(ctx, name, mp1.IPv6, append(records(300, "2001:db8::1"), records(0, "2001:db8::2")...)))
	assert.Equal(t, resourceRecord{"cam.mec.example.", "AAAA", "IN", 1, []string{"2001:db8::1", "2001:db8::2"}}, s.records["cam.mec.example. AAAA"], "dns-server takes no TTL of 0")
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, nil))
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, nil), "it is gone")
	assert.Len(t, s.records, 1, "the other type stays")
	assert.Equal(t, []string{"PUT", "POST", "PUT", "PUT", "PUT", "POST", "DELETE", "DELETE", "PUT"}, s.requests)
}

func TestARemovalThatFailedIsNoSuccess(t *testing.T) {
	s := newDNSServer(t)
	require.NoError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, records(30, "10.0.0.1")))
	s.broken = true
	require.EqualError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, nil), "EdgeGallery's dns-server at "+s.url+" refuses the record: it answers 500; its log says why")
	assert.Equal(t, []string{"10.0.0.1"}, s.records["a.example. A"].RData, "to look changes nothing")
	require.NoError(t, s.driver().Set(t.Context(), "b.example", mp1.IPv4, nil), "it was never there")
}

func TestWhatItWouldNotAnswerForIsNeverSent(t *testing.T) {
	s := newDNSServer(t)
	for _, name := range []string{"*.example", "", ".", "a b.example", "a/b", "a?b", "a%2fb", "..", "ä.example", "a\r\nb"} {
		assert.Error(t, s.driver().Set(t.Context(), name, mp1.IPv4, records(30, "10.0.0.1")), "%q", name)
	}
	assert.Error(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, records(30, "::1")))
	assert.Error(t, s.driver().Set(t.Context(), "a.example", mp1.IPv6, records(30, "10.0.0.1")))
	assert.Empty(t, s.requests)
}

func TestARefusalIsTheReason(t *testing.T) {
	s := newDNSServer(t)
	refused := func(status string) string {
		return "EdgeGallery's dns-server at " + s.url + " refuses the record: it answers " + status + "; its log says why"
	}
	assert.EqualError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, records(30, "224.0.0.1")), refused("400"))
	var many []driver.Record
	for i := range 300 {
		many = append(many, driver.Record{Address: netip.AddrFrom4([4]byte{192, 168, byte(100 + i/200), byte(i % 200)}), TTL: 30})
	}
	assert.EqualError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, many),
		"EdgeGallery's dns-server takes no more than 4096 bytes for one name, and there are too many addresses")
	s.broken = true
	assert.EqualError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, records(30, "10.0.0.1")), refused("500"))
	for _, status := range []int{201, 202, 401, 403, 503} {
		s.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
		for _, r := range [][]driver.Record{records(30, "10.0.0.1"), nil} {
			assert.ErrorContains(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, r), "it answers ", status)
		}
	}
	assert.Empty(t, s.records)
}

func TestNoRedirectIsFollowedAndNoProxyAsked(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { elsewhere++; w.WriteHeader(http.StatusOK) }))
	defer other.Close()
	t.Setenv("HTTP_PROXY", other.URL)
	s := newDNSServer(t)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return true
	}
	for _, r := range [][]driver.Record{records(30, "10.0.0.1"), nil} {
		assert.EqualError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, r), s.url+" is no dns-server of EdgeGallery: it answers 307, a redirect")
	}
	assert.Zero(t, elsewhere)
}

func TestAnAnswerMayBeAsLongAsItLikes(t *testing.T) {
	s := newDNSServer(t)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		for block := []byte(strings.Repeat("x", 1<<16)); ; {
			if _, err := w.Write(block); err != nil || r.Context().Err() != nil {
				return true // the driver has closed the connection
			}
		}
	}
	require.NoError(t, s.driver().Set(t.Context(), "a.example", mp1.IPv4, records(30, "10.0.0.1")))
}

// talker answers each connection by bytes, and then closes it.
func talker(t *testing.T, answer string, hang bool) *Driver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(answer))
			if hang {
				_, _ = conn.Read(make([]byte, 1)) // until the driver closes
			}
			_ = conn.Close()
		}
	}()
	return New(conf.DNSRules{URL: "http://" + l.Addr().String()})
}

func TestWhatIsNoAnswerIsNoSuccess(t *testing.T) {
	for answer, want := range map[string]string{
		"":                          "does not answer: it closed the connection",
		"HTTP/1.1 200":              "does not answer: it closed the connection",
		"SSH-2.0-x\x1b[31m\r\n\r\n": `connection broken: malformed HTTP response "SSH-2.0-x\x1b[31m"`,
		"HTTP/1.1 099 x\r\n\r\n":    "it answers 99",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 32<<10) + "\r\n\r\n": "connection broken: net/http: server response headers exceeded",
		strings.Repeat("y", 3000) + "\r\n\r\n":                              `connection broken: malformed HTTP response "yyy`,
	} {
		err := talker(t, answer, false).Set(t.Context(), "a.example", mp1.IPv4, records(30, "10.0.0.1"))
		require.ErrorContains(t, err, want)
		assert.Less(t, len(err.Error()), 400)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestASetEndsWithItsContext(t *testing.T) {
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := talker(t, answer, true).Set(ctx, "a.example", mp1.IPv4, records(30, "10.0.0.1"))
		if answer == "" {
			require.ErrorContains(t, err, "does not answer: it took too long")
		} else {
			require.NoError(t, err, "the status says it all")
		}
		cancel()
	}
}

func TestAServerThatIsNotThereIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.EqualError(t, New(conf.DNSRules{URL: "http://" + l.Addr().String()}).Set(t.Context(), "a.example", mp1.IPv4, nil),
		"EdgeGallery's dns-server at http://"+l.Addr().String()+" does not answer: connect: connection refused")
}
