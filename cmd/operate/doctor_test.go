package operate

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/remote"
)

// patient is a server of which one thing after the other is wrong.
type patient struct {
	ready          int
	date           time.Time
	platform, rest string
	services       string
	metrics        string
	store          string
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.date.IsZero() {
		w.Header().Set("Date", p.date.UTC().Format(http.TimeFormat))
	}
	switch r.URL.Path {
	case "/ready":
		w.WriteHeader(p.ready)
		_, _ = fmt.Fprint(w, "ready\n")
	case storePath:
		_, _ = fmt.Fprint(w, p.store)
	case "/metrics":
		_, _ = fmt.Fprint(w, p.metrics)
	default:
		_, _ = fmt.Fprintf(w, `{"now":"2026-01-02T03:04:05Z","platform":{%s},"counts":{%s},"services":[%s]}`, p.platform, p.rest, p.services)
	}
}

func healthy() *patient {
	return &patient{ready: 200, store: `{"kind":"embedded","members":[{"id":"m","version":"3.6.0","leader":true,"quotaBytes":100}],"disk":{"freeBytes":10737418240}}`, platform: `"replicas":[{"id":"a"}],"store":{"kind":"embedded","ready":true,"usedBytes":1,"quotaBytes":100}`, rest: `"total":1`,
		services: `{"serName":"s","state":"ACTIVE","livenessInterval":2,"windowSeconds":6,"gapsSeconds":[2,2.1]}`}
}

// examined is what the doctor found, by check.
func examined(t *testing.T, d *Doctor) (found map[string]finding, err error) {
	t.Helper()
	var out bytes.Buffer
	d.Out, d.JSON = &out, true
	err = d.Run(t.Context())
	var all struct {
		OK     bool
		Checks []finding
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	require.Equal(t, err == nil, all.OK)
	found = map[string]finding{}
	for _, f := range all.Checks {
		found[f.Check] = f
		require.True(t, f.Result != problem && f.Result != warning || f.Hint != "" || f.Check == "state" || strings.Contains(f.Detail, "; "), "%s says what to do", f.Check)
	}
	return found, err
}

func TestTheDoctorFindsNothingInAHealthyServer(t *testing.T) {
	found, err := examined(t, &Doctor{Server: place(t, healthy())})
	require.NoError(t, err)
	for _, check := range []string{"server", "clock", "store", "replicas", "expiry", "notifications", "services", "late", "gaps", "unwatched", "log", "etcd m", "disk"} {
		require.Equal(t, fine, found[check].Result, "%+v", found[check])
	}
}

func TestTheDoctorFindsEachFault(t *testing.T) {
	for check, tt := range map[string]struct {
		spoil  func(p *patient)
		result result
		says   string
	}{
		"server":   {func(p *patient) { p.ready = 503 }, problem, "does not serve"},
		"clock":    {func(p *patient) { p.date = time.Now().Add(-150 * time.Minute) }, problem, "2h"},
		"store":    {func(p *patient) { p.platform = strings.Replace(p.platform, `Bytes":1,`, `Bytes":95,`, 1) }, problem, "95% full"},
		"replicas": {func(p *patient) { p.platform = strings.Replace(p.platform, "embedded", "cluster", 1) }, warning, "one replica"},
		"expiry": {func(p *patient) {
			p.platform += `,"expiry":{"held":true,"reason":"it was paused","since":"","until":"2026-01-02T03:05:00Z"}`
		}, warning, "it was paused, until 03:05:00"},
		"notifications": {func(p *patient) { p.platform += `,"notifications":{"pending":7,"failingSubscriptions":2}` }, warning, "2 subscriptions cannot be told; 7 events wait"},
		"services":      {func(p *patient) { p.rest = `"SUSPENDED":1,"total":2` }, warning, "1 of 2"},
		"late":          {func(p *patient) { p.services = strings.Replace(p.services, `"state"`, `"late":true,"state"`, 1) }, warning, "1 have not been heard for longer than their interval: s"},
		"gaps":          {func(p *patient) { p.services = strings.Replace(p.services, "2.1", "5.5", 1) }, warning, "s (5.5 s of 6 s)"},
		"unwatched":     {func(p *patient) { p.services = `{"serName":"u","state":"ACTIVE"}` }, warning, ": u"},
		"disk": {func(p *patient) {
			p.store = strings.Replace(p.store, `"disk":{`, `"disk":{"fileSystem":"NFS","remote":true,`, 1)
		}, problem, "lies on NFS"},
		"log": {func(p *patient) { p.metrics = "mep_log_lines_dropped_total 3\n" }, warning, "3 lines"},
	} {
		p := healthy()
		tt.spoil(p)
		found, err := examined(t, &Doctor{Server: place(t, p)})
		require.Equal(t, tt.result, found[check].Result, "%+v", found[check])
		require.Contains(t, found[check].Detail, tt.says)
		require.Equal(t, tt.result == problem, err != nil, check)
		for other, f := range found {
			require.True(t, other == check || f.Result == fine || f.Result == skipped, "%s is said of %s: %+v", check, other, f)
		}
	}
}

func TestTheDoctorLooksAtTheCertificateThatIsShown(t *testing.T) {
	s := httptest.NewTLSServer(healthy())
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	for place, want := range map[remote.Place]finding{
		{URL: s.URL, CAFile: ca}: {"certificate", fine, "for example.com", ""},
		{URL: s.URL}:             {"certificate", problem, "unknown authority", ""},
		{URL: strings.Replace(s.URL, "127.0.0.1", "localhost", 1), CAFile: ca}: {"certificate", problem, "and not for localhost", ""},
	} {
		by, err := remote.At(place)
		require.NoError(t, err)
		found, _ := examined(t, &Doctor{Server: by})
		require.Equal(t, want.Result, found["certificate"].Result, "%+v", found["certificate"])
		require.Contains(t, found["certificate"].Detail, want.Detail)
	}
	d := &Doctor{}
	leaf := *s.Certificate()
	for left, want := range map[time.Duration]result{-time.Hour: problem, 48 * time.Hour: problem, 20 * 24 * time.Hour: warning, 40 * 24 * time.Hour: fine} {
		leaf.NotAfter = time.Now().Add(left)
		d.all = nil
		d.judge([]*x509.Certificate{&leaf}, "example.com", nil, false)
		require.Equal(t, want, d.all[0].Result, "%v: %+v", left, d.all[0])
	}
}

func TestADoctorWithoutAServerStillSaysWhatIsWrong(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	by, err := remote.At(remote.Place{URL: s.URL})
	require.NoError(t, err)
	s.Close()
	var out bytes.Buffer
	require.ErrorIs(t, (&Doctor{Server: by, Out: &out}).Run(t.Context()), ErrNotGood)
	require.Regexp(t, `(?m)^problem +server +no server is reached: .*; start it, or name it`, out.String())
}

// A page that answers whatever is asked is no healthy server.
func TestWhatIsNoMepserverIsNotTakenForAHealthyOne(t *testing.T) {
	page := place(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>ready")) }))
	found, err := examined(t, &Doctor{Server: page})
	require.ErrorIs(t, err, ErrNotGood)
	require.Equal(t, problem, found["server"].Result)
	require.Contains(t, found["server"].Detail, "no mepserver: /ready is answered with something else (Content-Type text/html")
	require.NotContains(t, found, "state", "it is not asked for more")
}

// A token that is not valid says nothing of the server, and is told of by what needs one.
func TestAWrongTokenIsNotTakenForASickServer(t *testing.T) {
	well := healthy()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		well.ServeHTTP(w, r)
	}))
	defer s.Close()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("wrong"), 0o600))
	by, err := remote.At(remote.Place{URL: s.URL, TokenFile: token})
	require.NoError(t, err)
	found, err := examined(t, &Doctor{Server: by})
	require.ErrorIs(t, err, ErrNotGood)
	require.Equal(t, fine, found["server"].Result, "%+v", found["server"])
	require.Equal(t, problem, found["state"].Result)
	require.Contains(t, found["state"].Detail, "the server refused (401)")
	require.Contains(t, found["state"].Hint, "role reader")
}
