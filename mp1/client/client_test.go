package client

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// fakePlatform answers every request with a handler, and records the last request.
type fakePlatform struct {
	*httptest.Server
	method, uri, body, accept, contentType string
	conns                                  atomic.Int32
	mu                                     sync.Mutex // of what is recorded, while calls overlap
}

func newFakePlatform(t *testing.T, answer http.HandlerFunc) *fakePlatform {
	t.Helper()
	p := &fakePlatform{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.method, p.uri, p.body, p.accept, p.contentType = r.Method, r.RequestURI, string(b), r.Header.Get("Accept"), r.Header.Get("Content-Type")
		p.mu.Unlock()
		answer(w, r)
	}))
	p.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			p.conns.Add(1)
		}
	}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func (p *fakePlatform) client(t *testing.T, prefix string) *Client {
	t.Helper()
	c, err := New(Options{BaseURL: p.URL, Prefix: prefix})
	require.NoError(t, err)
	t.Cleanup(c.CloseIdle)
	return c
}

func respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const serviceJSON = `{"serInstanceId":"id1","serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":30,
	"_links":{"self":{"href":"/x","liveness":"/mep/l"},"liveness":{"href":"/l"}}}`

func TestEveryRequestIsWhatMEC011Has(t *testing.T) {
	ctx := context.Background()
	yes := true
	for _, c := range []struct {
		do           func(c *Client) error
		answer       http.HandlerFunc
		method, path string
	}{
		{func(c *Client) error {
			_, err := c.Register(ctx, "a", mp1.ServiceInfo{SerInstanceID: "mine", SerName: "n", Links: &mp1.ServiceLinks{}})
			return err
		}, respond(201, serviceJSON), "POST", "/applications/a/services"},
		{func(c *Client) error { _, err := c.Service(ctx, "id1"); return err }, respond(200, serviceJSON), "GET", "/services/id1"},
		{func(c *Client) error {
			l, err := c.Services(ctx, mp1.Filter{SerNames: []string{"a b", "c&d"}, IsLocal: &yes})
			require.Len(t, l, 1)
			return err
		}, respond(200, "["+serviceJSON+"]"), "GET", "/services?is_local=true&ser_name=a+b&ser_name=c%26d"},
		{func(c *Client) error { _, err := c.ApplicationServices(ctx, "a", mp1.Filter{}); return err }, respond(200, "[]"), "GET", "/applications/a/services"},
		{func(c *Client) error { _, err := c.Transports(ctx); return err }, respond(200, "[]"), "GET", "/transports"},
		{func(c *Client) error { return c.Remove(ctx, "a", "id1") }, respond(204, ""), "DELETE", "/applications/a/services/id1"},
	} {
		for _, prefix := range []string{"", "/mep"} {
			p := newFakePlatform(t, c.answer)
			require.NoError(t, c.do(p.client(t, prefix)), c.path)
			require.Equal(t, c.method, p.method)
			require.Equal(t, prefix+mp1.Base+c.path, p.uri)
			require.Contains(t, p.accept, "application/json")
			if c.method == "POST" {
				require.Equal(t, "application/json", p.contentType)
				require.NotContains(t, p.body, "mine")
				require.NotContains(t, p.body, "_links")
			}
		}
	}
}

// A platform whose language has no integers writes 30.0.
func TestIntegersWithAFractionOfNothingAreRead(t *testing.T) {
	ctx := context.Background()
	odd := strings.Replace(serviceJSON, `"livenessInterval":30`, `"livenessInterval":3.0E1,"transportInfo":{"id":"60.0","endpoint":{"addresses":[{"host":"h","port":8080.0}]},"security":{}}`, 1)
	c := newFakePlatform(t, respond(200, odd)).client(t, "")
	info, err := c.Service(ctx, "id1")
	require.NoError(t, err)
	require.Equal(t, 30, *info.LivenessInterval)
	require.Equal(t, 8080, info.TransportInfo.Endpoint.Addresses[0].Port)
	require.Equal(t, "60.0", info.TransportInfo.ID)
	l, err := newFakePlatform(t, respond(200, "["+odd+","+serviceJSON+"]")).client(t, "").Services(ctx, mp1.Filter{})
	require.NoError(t, err)
	require.Len(t, l, 2)
	require.Nil(t, l[1].TransportInfo)
	_, err = newFakePlatform(t, respond(200, strings.Replace(odd, "3.0E1", "30.5", 1))).client(t, "").Service(ctx, "id1")
	require.ErrorIs(t, err, errUnreadable)
}

func TestIDsThatCouldLeaveThePathAreNotSent(t *testing.T) {
	p := newFakePlatform(t, respond(200, serviceJSON))
	c, ctx := p.client(t, ""), context.Background()
	for _, id := range []string{"", "..", "a/b", "a?b", "a%2fb", "a#"} {
		_, err := c.Service(ctx, id)
		require.Error(t, err)
		_, err = c.Register(ctx, id, mp1.ServiceInfo{})
		require.Error(t, err)
		_, err = c.ApplicationServices(ctx, id, mp1.Filter{})
		require.Error(t, err)
		require.Error(t, c.Remove(ctx, id, "x"))
		require.Error(t, c.Remove(ctx, "x", id))
	}
	require.Zero(t, p.conns.Load())
}

func TestAHeartbeatIsTakenWith204And200(t *testing.T) {
	for _, c := range []struct {
		answer   http.HandlerFunc
		interval int
	}{
		{respond(204, ""), 0},
		{respond(200, `{"state":"ACTIVE","timeStamp":{"seconds":1,"nanoSeconds":2},"interval":60}`), 60},
		{respond(200, ""), 0}, {respond(200, "not JSON"), 0}, {respond(200, `{"interval":-5}`), 0}, {respond(200, `{"interval":"x"}`), 0},
	} {
		p := newFakePlatform(t, c.answer)
		a, err := p.client(t, "/mep").Beat(context.Background(), "/anywhere?x=1")
		require.NoError(t, err)
		require.Equal(t, c.interval, a.NewInterval)
		require.Equal(t, "PATCH /anywhere?x=1", p.method+" "+p.uri, "the href is taken as it is, without our prefix")
		require.Equal(t, `{"state":"ACTIVE"}`, p.body)
		require.Equal(t, "application/json", p.contentType)
	}
	p := newFakePlatform(t, respond(200, `{"state":"SUSPENDED","timeStamp":{"seconds":1,"nanoSeconds":2},"interval":60}`))
	l, err := p.client(t, "").Liveness(context.Background(), p.URL+"/l")
	require.NoError(t, err)
	require.Equal(t, mp1.ServiceLivenessInfo{State: mp1.Suspended, TimeStamp: mp1.TimeStamp{Seconds: 1, NanoSeconds: 2}, Interval: 60}, l)
}

func TestAnHrefStaysWithItsPlatform(t *testing.T) {
	c, err := New(Options{BaseURL: "https://Mep.example"})
	require.NoError(t, err)
	for href, want := range map[string]string{
		"/a/b": "https://Mep.example/a/b", "/a%2Fb?q": "https://Mep.example/a%2Fb?q", "https://mep.example:443/a#f": "https://Mep.example/a",
	} {
		u, err := c.resolve(href)
		require.NoError(t, err, href)
		require.Equal(t, want, u.String())
	}
	for _, href := range []string{"", "a/b", "//evil.example/a", "http://mep.example/a", "https://evil.example/a", "https://mep.example:444/a",
		"https://user@mep.example/a", "https:a", "javascript:a", "https://mep.example", "/%zz"} {
		_, err := c.resolve(href)
		require.Error(t, err, href)
		_, err = c.Beat(context.Background(), href)
		require.Error(t, err, href)
	}
}

func TestTheLinkForHeartbeatsIsFoundInBothForms(t *testing.T) {
	for body, want := range map[string]string{
		serviceJSON: "/l", `{"_links":{"self":{"liveness":"/mep/l"}}}`: "/mep/l", `{"_links":{"self":{"href":"/x"}}}`: "", `{}`: "", `{"_links":{"liveness":{"href":""}}}`: "",
	} {
		var info mp1.ServiceInfo
		require.NoError(t, json.Unmarshal([]byte(body), &info))
		require.Equal(t, want, LivenessHref(info), body)
	}
}

func TestARefusalIsAProblem(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   Problem
	}{
		{respond(404, `{"status":404,"detail":"register it"}`), Problem{Status: 404, Detail: "register it", RetryAfter: 0}},
		{respond(503, `{"detail":"later"}`, "Retry-After", "7"), Problem{Status: 503, Detail: "later", RetryAfter: 7 * time.Second}},
		{respond(503, ``, "Retry-After", "Tue, 24 Nov 2026 10:00:30 GMT", "Date", "Tue, 24 Nov 2026 10:00:00 GMT"), Problem{Status: 503, Detail: "", RetryAfter: 30 * time.Second}},
		{respond(503, ``, "Retry-After", "Tue, 24 Nov 2020 10:00:30 GMT", "Date", "Tue, 24 Nov 2026 10:00:00 GMT"), Problem{Status: 503, Detail: "", RetryAfter: 0}},
		{respond(503, ``, "Retry-After", "2000000000"), Problem{Status: 503, Detail: "", RetryAfter: maxRetryAfter}},
		{respond(503, ``, "Retry-After", "-1"), Problem{Status: 503, Detail: "", RetryAfter: 0}},
		{respond(502, `<html>bad gateway</html>`), Problem{Status: 502, Detail: "", RetryAfter: 0}},
		{respond(400, `{"detail":"a\u0007b\u202ec\u2028\nd"}`), Problem{Status: 400, Detail: "abcd", RetryAfter: 0}},
		{respond(500, `{"detail":"`+strings.Repeat("x", 2000)+`"}`), Problem{Status: 500, Detail: strings.Repeat("x", maxDetail), RetryAfter: 0}},
		{respond(500, strings.Repeat(" ", maxAnswer+2)), Problem{Status: 500, Detail: "", RetryAfter: 0}},
		{respond(302, "", "Location", "/elsewhere"), Problem{Status: 302, Detail: "", RetryAfter: 0}},
		{respond(307, "", "Location", "/elsewhere"), Problem{Status: 307, Detail: "", RetryAfter: 0}},
	} {
		p := newFakePlatform(t, c.answer)
		_, err := p.client(t, "").Beat(context.Background(), "/l")
		var got *Problem
		require.ErrorAs(t, err, &got)
		require.Equal(t, c.want, *got)
		require.Equal(t, "/l", p.uri, "no redirect is followed")
	}
	require.Equal(t, "mp1: 404 Not Found: register it", (&Problem{Status: 404, Detail: "register it"}).Error())
	require.Equal(t, "mp1: 299", (&Problem{Status: 299}).Error())
}
