package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/filesystem"
)

func TestTheDoctorLooksAtTheDiskOfAStore(t *testing.T) {
	for _, tt := range []struct {
		free   uint64
		kind   string
		remote bool
		result result
	}{{10 << 30, "", false, fine}, {10 << 30, "NFS", true, problem}, {10 << 30, "FUSE", false, problem}, {10 << 30, "tmpfs", false, warning}, {1 << 30, "", false, warning}, {100 << 20, "", false, problem}} {
		d := &Doctor{}
		d.judgeDisk(filesystem.Info{Kind: tt.kind, Remote: tt.remote, Free: tt.free}, 4<<30)
		require.Equal(t, tt.result, d.all[0].Result, "%+v", tt)
	}
	c := conf.Default()
	c.Store.DataDir = filepath.Join(t.TempDir(), "none")
	found, err := examined(t, &Doctor{Server: place(t, healthy()), Local: &c})
	require.ErrorIs(t, err, ErrNotGood)
	require.Equal(t, problem, found["disk"].Result)
	require.Equal(t, fine, found["identities"].Result)
	c.Store.DataDir, c.Server.Listen = t.TempDir(), "0.0.0.0:1"
	require.NoError(t, os.Chmod(c.Store.DataDir, 0o755))
	found, _ = examined(t, &Doctor{Server: place(t, healthy()), Local: &c})
	require.Equal(t, problem, found["identities"].Result)
	require.Equal(t, warning, found["data folder"].Result)
	require.Equal(t, "10240 MiB are free", found["disk"].Detail, "as the server says")
}

// The disk is looked at here where no server says how it is.
func TestTheDiskOfAServerThatIsDownIsLookedAt(t *testing.T) {
	c := conf.Default()
	c.Store.DataDir = t.TempDir()
	dead := healthy()
	dead.ready = 503
	found, err := examined(t, &Doctor{Server: place(t, dead), Local: &c})
	require.ErrorIs(t, err, ErrNotGood)
	require.Contains(t, found, "disk")
	require.NotContains(t, found, "etcd m")
}

// One member after the other of a cluster of three has a fault.
func TestTheDoctorLooksAtEachMemberOfACluster(t *testing.T) {
	const well = `{"id":"2","name":"b","endpoint":"http://b","version":"3.6.14","leader":false,"usedBytes":10,"quotaBytes":100}`
	leader := strings.Replace(well, "false", "true", 1)
	a := func(change ...string) string {
		return strings.NewReplacer(append([]string{`"id":"2"`, `"id":"1"`, `"name":"b"`, `"name":"a"`, "http://b", "http://a"}, change...)...).Replace(well)
	}
	for _, tt := range []struct {
		members []string
		more    string
		check   string
		result  result
		says    string
	}{
		{[]string{a(), well, leader}, "", "etcd", fine, "version 3.6.14, 3 of 3 members answer"},
		{[]string{a(), well, leader}, "", "etcd a", fine, "no alarm, its database is 10% full"},
		{[]string{a(`"quotaBytes":100`, `"quotaBytes":0`), well, leader}, "", "etcd a", fine, "of a quota that it does not say"},
		{[]string{a("3.6.14", "3.5.33"), well, leader}, "", "etcd", warning, "3.5.33, 3.6.14"},
		{[]string{leader}, "", "etcd", warning, "version 3.6.14, 1 member"},
		{[]string{leader}, `,"unlisted":"permission denied"`, "etcd", fine, "1 of 1 member answer"},
		{[]string{leader}, `,"unlisted":"permission denied"`, "etcd members", skipped, "permission denied"},
		{[]string{a(), well}, "", "etcd", problem, "no member that answers knows a leader"},
		{[]string{a(), well, `{"id":"3","name":"c","endpoint":"http://c","leader":true,"error":"refused"}`}, "", "etcd", fine, "2 of 3 members answer"},
		{[]string{a(), well}, `,"leader":"3","unlisted":"permission denied"`, "etcd", fine, "2 of 2 members answer"},
		{[]string{`{"id":"1","name":"a","endpoint":"http://a","leader":false,"error":"refused"}`}, `,"leader":"1"`, "etcd", problem, "none of 1"},
		{[]string{`{"name":"a","endpoint":"http://a","leader":false,"error":"refused"}`}, "", "etcd", problem, "none of 1"},
		{[]string{`{"name":"a","endpoint":"http://a","leader":false,"error":"refused"}`, well, leader}, "", "etcd a", problem, "http://a does not answer: refused"},
		{[]string{`{"name":"a","leader":false,"error":"it is not among store.endpoints"}`, well, leader}, "", "etcd a", warning, "not among"},
		{[]string{a(`"usedBytes"`, `"alarms":["NOSPACE"],"usedBytes"`), well, leader}, "", "etcd a", problem, "NOSPACE"},
		{[]string{a(`"usedBytes"`, `"alarms":["CORRUPT"],"usedBytes"`), well, leader}, "", "etcd a", problem, "CORRUPT"},
		{[]string{a(`"usedBytes":10`, `"usedBytes":95`), well, leader}, "", "etcd a", problem, "95% full"},
		{[]string{a(`"usedBytes":10`, `"usedBytes":75`), well, leader}, "", "etcd a", warning, "75% full"},
		{[]string{a(`"usedBytes"`, `"advice":"is old","usedBytes"`), well, leader}, "", "etcd a", warning, "it is old"},
		{[]string{a(`"usedBytes"`, `"learner":true,"usedBytes"`), well, leader}, "", "etcd a", warning, "learner"},
	} {
		p := healthy()
		p.store = fmt.Sprintf(`{"kind":"cluster","members":[%s]%s}`, strings.Join(tt.members, ","), tt.more)
		found, _ := examined(t, &Doctor{Server: place(t, p)})
		require.Equal(t, tt.result, found[tt.check].Result, "%+v", found)
		require.Contains(t, found[tt.check].Detail, tt.says)
	}
}

// An embedded store has no endpoint that could be named, and one that does not answer is no matter of
// names.
func TestAnEmbeddedStoreThatIsSilentIsAProblem(t *testing.T) {
	p := healthy()
	p.store = `{"kind":"embedded","members":[{"id":"m","version":"3.6.0","leader":false,"error":"it did not answer in time"}],"disk":{"freeBytes":10737418240}}`
	found, err := examined(t, &Doctor{Server: place(t, p)})
	require.ErrorIs(t, err, ErrNotGood)
	require.Equal(t, problem, found["etcd m"].Result, "%+v", found)
	require.Contains(t, found["etcd m"].Detail, "it did not answer in time")
	require.NotContains(t, found["etcd m"].Hint, "name")
	require.Equal(t, fine, found["disk"].Result)
}
