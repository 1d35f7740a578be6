package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// printedState is what services -o json prints.
type printedState struct {
	Services []struct {
		SerInstanceID, SerName, State string
		LastHeartbeat                 string
	}
	Counts map[string]int
}

func parsed(t *testing.T, out string) (s printedState) {
	t.Helper()
	for _, r := range out {
		require.True(t, r == '\n' || r >= ' ' && r < 0x7f, "%q", out)
	}
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	return s
}

// An operator at the machine asks by the socket, one elsewhere by the URL, and both see the same.
func TestAnOperatorSeesFromAShellWhoIsDeadAndWhy(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "mep-") // short, for the name of the socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := mep.Options{DataDir: dir, Env: mep.Fast}.Start(t)
	dead := s.Register("robot", "collision\u202ewarning", 1)
	living := s.Register("cameras", "face", -1)
	wait.Until(t, "it is suspended", func() bool { return dead.State() == "SUSPENDED" })
	for _, by := range [][]string{{"--url", s.URL}, {"--data-dir", dir}} {
		services := func(want int, args ...string) string {
			return mepserver(t, want, append(append([]string{"services"}, args...), by...)...)
		}
		require.Regexp(t, `(?s)^STATE +SINCE .*\nSUSPENDED +\S+ ago +robot +collisionwarning +.*\nACTIVE .* cameras +face +- +- .*\n\n2 of 2 services\. Of all: 1 ACTIVE, 1 SUSPENDED, 0 INACTIVE`, services(0))
		require.Contains(t, services(0, "-o", "wide"), dead.ID)
		all := parsed(t, services(0, "-o", "json"))
		require.Equal(t, []string{dead.ID, living.ID}, []string{all.Services[0].SerInstanceID, all.Services[1].SerInstanceID})
		require.Equal(t, "collision\u202ewarning", all.Services[0].SerName, "a program gets it as it is")
		require.Equal(t, 2, all.Counts["total"])
		only := parsed(t, services(0, "-o", "json", "--state", "suspended", "--app", "robot", "--name", "COLLISION"))
		require.Len(t, only.Services, 1)
		require.Empty(t, parsed(t, services(0, "-o", "json", "--drained")).Services)
		require.Regexp(t, `(?m)^state +SUSPENDED$`, services(0, dead.ID))
		require.Equal(t, "mepserver: there is no service of that serInstanceId or serName; mepserver services -o wide lists all\n", services(4, strings.Repeat("0", 32)))
		require.Contains(t, services(1, "--state", "DEAD"), "the server refused (400)")
		require.Regexp(t, `(?m)^ok +server +it serves`, mepserver(t, 0, append([]string{"doctor"}, by...)...))
	}
	require.Regexp(t, `(?m)^warning +unwatched +1 .*: face; `, mepserver(t, 0, "doctor", "--data-dir", dir))
	s.Kill()
	require.Contains(t, mepserver(t, 3, "services", "--url", s.URL), "mepserver: no server is reached")
	require.Contains(t, mepserver(t, 3, "services", "--data-dir", dir), "no server answers there")
	require.Regexp(t, `(?m)^problem +server `, mepserver(t, 2, "doctor", "--url", s.URL))
}

// With identities a reader reads, and nobody else does. No secret is shown or logged.
func TestWhoMayNotReadIsRefusedInAShell(t *testing.T) {
	t.Parallel()
	platform := mep.Secure(t, mep.Fast...)
	file := func(id string, roles ...string) string {
		b, err := json.Marshal(platform.Add(id, roles...))
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), id)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	reader := []string{"--url", platform.URL, "--ca", platform.CA.File, "--credential-file", file("operator", "reader")}
	require.Contains(t, mepserver(t, 0, append([]string{"services"}, reader...)...), "0 of 0 services")
	require.Contains(t, mepserver(t, 1, "services", "--url", platform.URL, "--ca", platform.CA.File), "the server refused (401)")
	require.Contains(t, mepserver(t, 1, "services", "--url", platform.URL, "--ca", platform.CA.File, "--credential-file", file("an-app")), "the server refused (403)")
	require.Contains(t, mepserver(t, 1, append([]string{"drain", "x", "--reason", "y"}, reader...)...), "the server refused (403)")
	require.Contains(t, mepserver(t, 1, "services", "--url", platform.URL, "--credential-file", reader[5]), "--ca FILE")
	require.Regexp(t, `(?m)^problem +certificate +it ends in \S+; have it made anew`, mepserver(t, 2, append([]string{"doctor"}, reader...)...), "the tests' certificates are for an hour")

	other := platform.Add("by-environment", "reader")
	code, p := proc.Command{Program: mep.Binary(), Args: []string{"services"}, Dir: t.TempDir(), Env: []string{"MEP_PLATFORM_ENDPOINTS=" + platform.URL, "MEP_PLATFORM_CA_FILE=" + platform.CA.File,
		"MEP_IDENTITY_CLIENT_ID=" + other.ID, "MEP_IDENTITY_CLIENT_SECRET=" + other.Secret}}.Run(t, time.Minute)
	require.Zero(t, code, "%s", p.Both)
	require.NotContains(t, p.Both.String()+platform.Log(), other.Secret)
}

// A watch sees every change, also over a restart, and ends at Ctrl-C without complaint.
func TestAWatchInAShellSeesEveryChangeOverARestart(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	w := proc.Command{Program: mep.Binary(), Args: []string{"watch", "--url", s.URL, "-o", "json"}}.Start(t)
	said := func(p *proc.Process, what string) {
		t.Helper()
		wait.Until(t, what, func() bool { return regexp.MustCompile(what).MatchString(p.Stdout.String()) })
	}
	said(w, `"event":"reset"`)
	v := s.Register("robot", "before", 1)
	said(w, `"change":"ADDED".*`+v.ID+`|`+v.ID+`.*"change":"ADDED"`)
	s.Kill()
	s.Restart()
	after := s.Register("robot", "after", -1)
	said(w, after.ID)
	s.Want(http.StatusNoContent, http.MethodDelete, mep.ServicesOf("robot")+"/"+after.ID, "")
	said(w, `"change":"REMOVED"`)
	w.Signal(syscall.SIGINT)
	require.Zero(t, w.Wait(), "%s", w.Both)
	var last float64
	for line := range strings.Lines(w.Stdout.String()) {
		var e struct {
			Event string
			Data  struct{ Revision float64 }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		require.GreaterOrEqual(t, e.Data.Revision, last, "in order: %s", w.Stdout)
		last = e.Data.Revision
	}
	require.Equal(t, 1, strings.Count(w.Stdout.String(), `"change":"REMOVED"`), "each change once")
	code, p := proc.Command{Program: mep.Binary(), Args: []string{"watch", "--url", "http://" + proc.Free(t)}}.Run(t, time.Minute)
	require.Equal(t, 3, code, "%s", p.Both)
}

// A drained service stays away whatever it sends, until it is given back.
func TestAServiceIsDrainedFromAShell(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "mep-") // short, for the name of the socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := mep.Options{DataDir: dir, Env: mep.Fast}.Start(t)
	for name, by := range map[string][]string{"by-url": {"--url", s.URL}, "by-socket": {"--data-dir", dir}} {
		v := s.Register("robot", name, 60)
		at := func(want int, args ...string) string { return mepserver(t, want, append(args, by...)...) }
		require.Equal(t, v.ID+" is drained: "+name+" is INACTIVE\n", at(0, "drain", v.ID, "--reason", "disk is replaced"))
		require.Equal(t, "INACTIVE", v.State())
		require.Equal(t, http.StatusConflict, s.Beat("robot", v.ID))
		require.Contains(t, at(0, "undrain", v.ID), v.ID+" is not drained any more: "+name+" is ")
		wait.Until(t, "it beats again", func() bool { return s.Beat("robot", v.ID) < 300 && v.State() == "ACTIVE" })
		var shown struct{ SerInstanceID, State string }
		require.NoError(t, json.Unmarshal([]byte(at(0, "drain", v.ID, "--reason", "again", "-o", "json")), &shown))
		require.Equal(t, v.ID, shown.SerInstanceID)
		require.Equal(t, "INACTIVE", shown.State)
		require.Equal(t, "mepserver: there is no service of that serInstanceId or serName; mepserver services -o wide lists all\n", at(4, "drain", strings.Repeat("0", 32), "--reason", "x"))
		require.Contains(t, at(1, "drain", v.ID, "--reason", "\x01"), "the server refused (400)")
	}
	s.Kill()
	require.Contains(t, mepserver(t, 3, "undrain", "x", "--url", s.URL), "mepserver: no server is reached")
	require.Contains(t, mepserver(t, 3, "undrain", "x", "--data-dir", dir), "no server answers there")
	require.Regexp(t, `(?m)^problem +server `, mepserver(t, 2, "doctor", "--url", s.URL))
}

// With identities only an administrator drains, and no secret is shown or logged.
func TestWhoMayNotDrainIsRefusedInAShell(t *testing.T) {
	t.Parallel()
	platform := mep.Secure(t, mep.Fast...)
	v := platform.As(platform.Add("robot")).Register("robot", "arm", -1)
	for want, role := range map[string]string{"the server refused (403)": "reader", v.ID + " is drained: arm is INACTIVE": "admin"} {
		c := platform.Add("an-"+role, role)
		b, err := json.Marshal(c)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), role)
		require.NoError(t, os.WriteFile(file, b, 0o600))
		code := 1
		if role == "admin" {
			code = 0
		}
		out := mepserver(t, code, "drain", v.ID, "--reason", "y", "--url", platform.URL, "--ca", platform.CA.File, "--credential-file", file)
		require.Contains(t, out, want)
		require.NotContains(t, out+platform.Log(), c.Secret)
	}
	require.Contains(t, mepserver(t, 1, "drain", v.ID, "--reason", "y", "--url", platform.URL, "--ca", platform.CA.File), "the server refused (401)")
}
