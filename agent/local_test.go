package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func page(h http.Handler, method, path, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheAgentsOwnPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 2)
		reg := prometheus.NewRegistry()
		o.Metrics = reg
		var asked atomic.Int32
		var down atomic.Bool
		o.Token = countedTokens(time.Hour, &asked, &down)
		a, err := New(o)
		require.NoError(t, err)
		h := a.Local(LocalOptions{Metrics: reg, EdgeGallery: true})
		require.Equal(t, 200, page(h, "GET", "/health", here).Code)
		require.Equal(t, 503, page(h, "GET", "/ready", here).Code)
		down.Store(true)
		require.Equal(t, 412, page(h, "GET", "/mep-agent/v1/token", here).Code)
		down.Store(false)
		advance(maxTokenRetry)
		r := start(t, a)
		advance(2 * interval)
		require.Equal(t, 200, page(h, "GET", "/ready", "localhost").Code)
		var all []Status
		w := page(h, "GET", "/status", "[::1]:1")
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &all))
		require.Equal(t, "beating", all[1].State)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Contains(t, page(h, "GET", "/metrics", here).Body.String(), `mep_agent_heartbeats_total{outcome="ok"}`)
		require.JSONEq(t, `{"access_token":"token2","token_type":"Bearer","expires_in":3580}`, page(h, "GET", "/mep-agent/v1/token", here).Body.String())
		for _, path := range []string{"/health", "/status", "/mep-agent/v1/token"} {
			require.Equal(t, 405, page(h, "POST", path, here).Code)
			for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""} {
				w := page(h, "GET", path, host)
				require.Equal(t, http.StatusMisdirectedRequest, w.Code, host)
				require.NotContains(t, w.Body.String(), "token2")
			}
		}
		plain := a.Local(LocalOptions{})
		require.Equal(t, 404, page(plain, "GET", "/mep-agent/v1/token", here).Code, "only who asks for that API has it")
		require.Equal(t, 404, page(plain, "GET", "/metrics", here).Code)
		require.NoError(t, r.stop())
	})
}

func TestProbesAskTheApplication(t *testing.T) {
	status := 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer s.Close()
	ctx := context.Background()
	for code, well := range map[int]bool{200: true, 204: true, 302: true, 404: false, 500: false} {
		status = code
		require.Equal(t, well, HTTPProbe(s.URL)(ctx) == nil, code)
	}
	address := s.Listener.Addr().String()
	require.NoError(t, TCPProbe(address)(ctx))
	s.Close()
	require.Error(t, TCPProbe(address)(ctx))
	err := HTTPProbe(s.URL + "/?token=hush")(ctx)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hush")

	require.NoError(t, ExecProbe([]string{"true"})(ctx))
	require.Error(t, ExecProbe([]string{"false"})(ctx))
	require.Error(t, ExecProbe([]string{filepath.Join(t.TempDir(), "nothing")})(ctx))
	require.Error(t, ExecProbe(nil)(ctx))
	t.Setenv("SECRET", "hush")
	show := []string{"sh", "-c", `test -z "$SECRET"`}
	require.Error(t, ExecProbe(show)(ctx))
	require.NoError(t, ExecProbe(show, "SECRET")(ctx), "what is named is not passed on")
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.Error(t, ExecProbe([]string{"sh", "-c", "sleep 600 & sleep 600"})(short))
	t.Logf("a program that hangs, and its child, were killed after %s", time.Since(began).Round(time.Millisecond))
}

func TestTheStateFileIsPrivateAndNeverHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 2)
		o.OnStop, o.StateFile = Leave, filepath.Join(t.TempDir(), "state")
		r := run(t, o)
		advance(2 * tickInterval)
		checkState(t, o.StateFile, 2)
		require.NoError(t, r.stop())

		for _, text := range []string{"", "{", `{"version":9}`, `{"version":1,"appInstanceId":"another","services":{"s0":{"serInstanceId":"id0001"}}}`} {
			require.NoError(t, replaceFile(o.StateFile, []byte(text)))
			r := run(t, o)
			require.NoError(t, r.stop())
			require.Len(t, f.registrations(), 2, "a broken file is as good as none: the list tells")
			checkState(t, o.StateFile, 2)
		}
		o.OnStop = Deregister
		require.NoError(t, run(t, o).stop())
		checkState(t, o.StateFile, 0)
		o.StateFile = filepath.Dir(o.StateFile)
		a, err := New(o)
		require.NoError(t, err)
		require.ErrorContains(t, a.Run(t.Context()), "read the state file")
	})
}

// An application may only consume: its agent is there for the token and for discovery.
func TestAnAgentWithoutServicesServesItsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		r := run(t, options(f, 0))
		require.Empty(t, f.sent("POST", ""))
		h := r.Local(LocalOptions{EdgeGallery: true})
		require.Equal(t, 200, page(h, "GET", "/ready", "localhost").Code)
		require.JSONEq(t, "[]", page(h, "GET", "/status", "localhost").Body.String())
		require.NoError(t, r.stop())
	})
}
