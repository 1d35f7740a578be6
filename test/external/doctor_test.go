package external

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// doctor has a server examined, from elsewhere.
func doctor(t *testing.T, s *mep.Server) (code int, out string) {
	t.Helper()
	code, p := proc.Command{Program: mep.Binary(), Args: []string{"doctor", "--url", s.URL}}.Run(t, time.Minute)
	return code, p.Stdout.String()
}

// The doctor sees each member of the cluster through a server, which alone knows how they are asked:
// its version, its alarms, and that it is gone. And /ready goes on to be 200 while the whole store is
// gone: a replica that all others are like must not be taken out of use (ADR 0063).
func TestTheDoctorSeesTheMembersAndReadyOutlivesThem(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 3)
	s := start(t, c)
	v := s.Register("app", "n", 5)
	code, out := doctor(t, s)
	require.Zero(t, code, out)
	require.Regexp(t, `(?m)^ok +etcd +version 3\.\d+\.\d+, 3 of 3 members answer$`, out)
	require.Regexp(t, `(?m)^warning +replicas +there is one replica`, out)

	c.Members[0].Kill()
	wait.Until(t, "one member is gone", func() bool { code, out = doctor(t, s); return code == 2 })
	require.Regexp(t, `(?m)^problem +etcd \S+ +\S+ does not answer: .*; start it, or mend the way to it$`, out)
	require.Regexp(t, `(?m)^ok +etcd +version \S+, 2 of 3 members answer$`, out)

	c.Members[1].Kill()
	c.Members[2].Kill()
	wait.Until(t, "the store is gone", func() bool { return s.Beat("app", v.ID) == http.StatusServiceUnavailable })
	for range 5 {
		a, err := s.Try(http.MethodGet, "/ready", "")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.Status)
		require.True(t, s.Discovered(v.ID), "discovery answers from memory")
	}
	defer func() { t.Log(out) }()
	wait.Until(t, "its members are asked anew", func() bool {
		code, out = doctor(t, s)
		return strings.Contains(out, "none of 3 members") && strings.Contains(out, "problem  store")
	})
	require.Equal(t, 2, code)
	require.Regexp(t, `(?m)^problem +store +it does not answer`, out)
	require.Regexp(t, `(?m)^problem +etcd +none of 3 members answers`, out)
}

// An alarm of the cluster, and a member that store.endpoints does not name, are seen as well.
func TestTheDoctorSeesAnAlarmAndWhoIsNotNamed(t *testing.T) {
	const quota = 8 << 20
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 3, "--quota-backend-bytes", strconv.Itoa(quota))
	leader := c.Leader()
	follower := slices.IndexFunc(c.Members, func(m *etcd.Member) bool { return m != leader })
	s := mep.Options{Endpoints: c.Endpoints()[follower : follower+1], Env: mep.Fast}.Start(t)
	code, out := doctor(t, s)
	require.Zero(t, code, "that another one leads, which is not named, is no fault: %s", out)
	require.Regexp(t, `(?m)^ok +etcd +version \S+, 1 of 3 members answer$`, out)
	require.Regexp(t, `(?m)^warning +etcd \S+ +it is not among store.endpoints; `, out)
	require.Regexp(t, `(?m)^ok +etcd \S+ +version \S+, no alarm, its database is \d+% full$`, out, "etcd says its quota")
	value := strings.Repeat("x", 1<<20)
	for i := 0; i < 2*quota>>20; i++ {
		if c.Put("/other/"+strconv.Itoa(i), value) != nil {
			break
		}
	}
	wait.Until(t, "it is full", func() bool { _, out = doctor(t, s); return strings.Contains(out, "NOSPACE") })
	require.Regexp(t, `(?m)^problem +etcd \S+ +alarm NOSPACE: it takes no writes; `, out)
}
