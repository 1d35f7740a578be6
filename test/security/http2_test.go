package security

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// raw is a connection of HTTP/2 that does what no client does.
type raw struct {
	*http2.Framer
	t      *testing.T
	s      *mep.Secured
	conn   *tls.Conn
	header bytes.Buffer
	encode *hpack.Encoder
	next   uint32
}

func newRaw(t *testing.T, s *mep.Secured, settings ...http2.Setting) *raw {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", s.Listen, &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	r := &raw{Framer: http2.NewFramer(conn, conn), t: t, s: s, conn: conn, next: 1}
	r.encode = hpack.NewEncoder(&r.header)
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	require.NoError(t, r.WriteSettings(settings...))
	return r
}

// block encodes the header of a request; more are pairs.
func (r *raw) block(method, path string, more ...string) []byte {
	r.header.Reset()
	all := append([]string{":method", method, ":scheme", "https", ":authority", r.s.Listen, ":path", path}, more...)
	for i := 0; i+1 < len(all); i += 2 {
		_ = r.encode.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return bytes.Clone(r.header.Bytes())
}

// begin sends the header of a request, whose body follows unless it ends.
func (r *raw) begin(ends bool, method, path string, more ...string) (stream uint32, err error) {
	stream = r.next
	r.next += 2
	return stream, r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.block(method, path, more...), EndHeaders: true, EndStream: ends})
}

// until reads frames until one is found; the error is that of a connection that ended.
func (r *raw) until(found func(http2.Frame) bool) error {
	for {
		f, err := r.ReadFrame()
		if err != nil {
			return err
		}
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			_ = r.WriteSettingsAck()
		}
		if found(f) {
			return nil
		}
	}
}

// status waits for the answer to a stream.
func (r *raw) status(stream uint32) (status string) {
	r.t.Helper()
	require.NoError(r.t, r.until(func(f http2.Frame) bool {
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			status = f.ErrCode.String()
		default:
			return false
		}
		return f.Header().StreamID == stream
	}))
	return status
}

// secureFlood is a server, and the check that another's heartbeats still get in.
func secureFlood(t *testing.T, env ...string) (s *mep.Secured, alive func()) {
	t.Helper()
	s = mep.Secure(t, env...)
	app := s.As(s.Add("app"))
	service := app.Register("app", "name", 60)
	return s, func() { t.Helper(); service.Beat() }
}

// A body that does not come over HTTP/2 is waited for as long as over HTTP/1.1, and an answer
// that does not need it is sent at once.
func TestAWithheldBodyOfHTTP2IsGivenUp(t *testing.T) {
	t.Parallel()
	s, alive := secureFlood(t)
	token := s.Token(s.Add("slow"))
	r := newRaw(t, s)
	began := time.Now()
	body := []string{"content-type", "application/json", "content-length", "200", "authorization", "Bearer " + token}
	withheld, err := r.begin(false, http.MethodPost, mep.ServicesOf("slow"), body...)
	require.NoError(t, err)
	other, err := r.begin(false, http.MethodPost, mep.ServicesOf("other"), body...)
	require.NoError(t, err)
	require.Equal(t, "403", r.status(other), "it is refused without its body")
	require.NotEqual(t, "201", r.status(withheld))
	require.GreaterOrEqual(t, time.Since(began), 9*time.Second)
	alive()
}

// Who opens streams and resets them, who sends what must be answered and reads nothing, and
// who sends headers without end, is let go and holds up nobody.
func TestFloodsOfHTTP2EndTheirConnection(t *testing.T) {
	t.Parallel()
	s, alive := secureFlood(t)
	for name, flood := range map[string]func(r *raw, i int) error{
		"streams that are reset": func(r *raw, _ int) error {
			stream, err := r.begin(true, http.MethodGet, mep.Base+"/services")
			if err != nil {
				return err
			}
			return r.WriteRSTStream(stream, http2.ErrCodeCancel)
		},
		"more streams than there may be": func(r *raw, _ int) error {
			_, err := r.begin(false, http.MethodPost, "/health", "content-length", "10")
			return err
		},
		"pings": func(r *raw, i int) error { return r.WritePing(false, [8]byte{byte(i)}) },
		"continuations": func(r *raw, i int) error {
			if i == 0 {
				return r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block("GET", "/health"), EndStream: true})
			}
			return r.WriteContinuation(1, false, r.fields(fmt.Sprint("x-", i), strings.Repeat("x", 1000)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRaw(t, s)
			var err error
			sent := 0
			for ; err == nil && sent < 1_000_000; sent++ {
				err = flood(r, sent)
			}
			require.Error(t, err, "it could send a million")
			t.Logf("let go after %d", sent)
			alive()
		})
	}
}

// fields encodes further fields of a header.
func (r *raw) fields(name, value string) []byte {
	r.header.Reset()
	_ = r.encode.WriteField(hpack.HeaderField{Name: name, Value: value})
	return bytes.Clone(r.header.Bytes())
}

// A header as large as HTTP/1.1 would refuse is refused.
func TestAHeaderOfHTTP2HasABound(t *testing.T) {
	t.Parallel()
	s, alive := secureFlood(t)
	client := s.HTTPClient()
	for size, want := range map[int]int{16 << 10: 200, 64 << 10: 431} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/health", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("X-Large", strings.Repeat("x", size))
		res, err := client.Do(req)
		if want == 431 && err != nil {
			continue // the client knows the bound and does not send it
		}
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 2, res.ProtoMajor)
		require.Equal(t, want, res.StatusCode)
	}
	alive()
}

// A client that asks for much and reads nothing is cut off, whether it stops reading the
// connection or gives no window; what its answers held is free again.
func TestWhoReadsNothingOverHTTP2IsCutOff(t *testing.T) {
	t.Parallel()
	s, alive := secureFlood(t, "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_LISTS_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0")
	many := s.As(s.Add("many"))
	pad := strings.Repeat("p", 200)
	for i := range 600 { // a list of some 400 KiB
		many.RegisterInfo("many", strings.Replace(mep.Info(fmt.Sprint("name-", i), -1), `"/x"`, `"/x"`+pad, 1))
	}
	reader := s.As(s.Add("reader", "reader"))
	bearer := "Bearer " + s.Token(s.Add("reader2", "reader"))
	cut := func() int { return reader.Metric("mep_answers_cut_total") }
	for name, settings := range map[string][]http2.Setting{
		"no window":  {{ID: http2.SettingInitialWindowSize, Val: 0}},
		"no reading": {{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			before := cut()
			r := newRaw(t, s, settings...)
			if name == "no reading" {
				require.NoError(t, r.WriteWindowUpdate(0, 1<<30))
			}
			for range 20 {
				_, err := r.begin(true, http.MethodGet, mep.Base+"/services", "authorization", bearer)
				require.NoError(t, err)
			}
			alive()
			wait.Until(t, "they are cut off", func() bool { return cut() > before })
			wait.Until(t, "nothing is held", func() bool { return reader.Metric("mep_answers_unread_bytes") < 1<<20 })
			alive()
		})
	}
}
