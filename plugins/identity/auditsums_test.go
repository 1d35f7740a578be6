package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// A caller that is refused again and again must not fill the disk, nor hide what others do.
func TestRefusalsThatRepeatAreSummedUp(t *testing.T) {
	b := newAuditBench()
	refuse := func(name string) {
		b.Handler(answers(403, &plugins.Caller{Name: name}, "mp1.PostService", true)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", services, nil))
	}
	for range 3 * singly {
		refuse("loud")
	}
	require.Len(t, b.lines, singly)
	refuse("quiet")
	require.Len(t, b.lines, singly+1, "each has his own")
	b.Handler(answers(201, &plugins.Caller{Name: "loud"}, "mp1.PostService", true)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", services, nil))
	require.Len(t, b.lines, singly+2, "what changes something is never summed up")
	b.now = b.now.Add(sumPeriod - time.Second)
	b.sums.flush(b.now, false)
	require.Len(t, b.lines, singly+2)
	b.now = b.now.Add(time.Second)
	b.sums.flush(b.now, false)
	require.Len(t, b.lines, singly+3)
	last := b.lines[len(b.lines)-1]
	require.Equal(t, "loud", last.Identity)
	require.Equal(t, 2*singly, last.Repeated)
	b.sums.flush(b.now, true)
	require.Len(t, b.lines, singly+3, "nothing twice")
	refuse("loud")
	require.Len(t, b.lines, singly+4, "another minute begins")
}

// A deletion of what is not there meets no limit, and costs its caller nothing.
func TestFailuresThatRepeatAreSummedUp(t *testing.T) {
	b := newAuditBench()
	for range 3 * singly {
		b.Handler(answers(404, &plugins.Caller{Name: "loud"}, "mp1.DeleteService", true)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("DELETE", services+"/x", nil))
	}
	require.Len(t, b.lines, singly)
}

func TestWhatIsSummedUpIsWrittenAtTheEnd(t *testing.T) {
	b := newAuditBench()
	for range singly + 7 {
		b.Handler(answers(401, nil, "", false)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", services, nil))
	}
	b.sums.flush(b.now, true)
	require.Equal(t, 7, b.lines[len(b.lines)-1].Repeated)
}

// Methods, addresses and names are whatever somebody sends.
func TestTheKindsOfRefusalsAreBounded(t *testing.T) {
	b := newAuditBench()
	for i := range 3 * maxSums {
		r := httptest.NewRequest("GET", services, nil)
		r.Method, r.RemoteAddr = fmt.Sprint("M", i), fmt.Sprintf("10.%d.%d.1:5", i/200, i%200)
		b.Handler(answers(405, nil, "", false)).ServeHTTP(httptest.NewRecorder(), r)
	}
	require.LessOrEqual(t, len(b.sums.kinds), maxSums+1)
	require.Len(t, b.lines, maxSums+singly)
}

func read(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// Whoever rotates logs moves the file away, removes it, or cuts it short.
func TestTheAuditFileIsPrivateAndMadeAnewWhenItIsMovedAway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	f, err := openAudit(path)
	require.NoError(t, err)
	write := func(s string) {
		t.Helper()
		_, err := f.Write([]byte(s + "\n"))
		require.NoError(t, err)
	}
	is, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), is.Mode())
	write("1")
	require.NoError(t, os.Rename(path, path+".1"))
	write("2")
	require.Equal(t, []string{"1"}, read(t, path+".1"))
	require.Equal(t, []string{"2"}, read(t, path))
	require.NoError(t, os.Remove(path))
	write("3")
	require.Equal(t, []string{"3"}, read(t, path))
	require.NoError(t, os.Truncate(path, 0))
	write("4")
	require.Equal(t, []string{"4"}, read(t, path))
	require.NoError(t, os.Rename(path, path+".2"))
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = f.Write([]byte("5\n"))
	require.Error(t, err, "it is lost, and counted by the queue")
	require.NoError(t, os.Remove(path))
	write("6")
	require.Equal(t, []string{"6"}, read(t, path))
	require.NoError(t, f.Close())
	again, err := openAudit(path)
	require.NoError(t, err)
	_, err = again.Write([]byte("7\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"6", "7"}, read(t, path), "a restart appends")
	require.NoError(t, again.Close())
}

func TestAnAuditFileThatCannotBeWrittenStopsTheStart(t *testing.T) {
	h := &plugins.Host{}
	h.Config.Audit.File = filepath.Join(t.TempDir(), "missing", "audit.log")
	var m plugins.Collectors
	_, err := setupAudit(h, nil, &m)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "audit.file cannot be written")
	h.Config.Audit.File = t.TempDir()
	_, err = setupAudit(h, nil, &m)
	require.Error(t, err)
	require.False(t, errors.Is(err, os.ErrNotExist))
}

// lost is how many lines the metric says were dropped.
func lost(t *testing.T) (n float64) {
	t.Helper()
	all, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	for _, f := range all {
		if f.GetName() == "mep_audit_lines_dropped_total" {
			n += f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return n
}

func TestAFullDiskHoldsNoRequestUpAndIsCounted(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	h := &plugins.Host{Identity: &door{}}
	h.Config.Audit.File = "/dev/full"
	var m plugins.Collectors
	end, err := setupAudit(h, nil, &m)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Unregister(t.Context())) }()
	for range 10 {
		w := httptest.NewRecorder()
		h.Identity.Handler(answers(201, nil, "r", true)).ServeHTTP(w, httptest.NewRequest("POST", services, nil))
		require.Equal(t, 201, w.Code)
	}
	require.NoError(t, end()) // waits until all were tried
	require.EqualValues(t, 10, lost(t))
	var notice struct {
		Level, Msg string
		Dropped    int
	}
	require.NoError(t, json.Unmarshal(droppedNotice(10, time.Now(), time.Now()), &notice))
	require.Equal(t, 10, notice.Dropped)
}

// All that is wrong with a configuration is said at once, with its line.
func TestTheRuleOfTheAuditFileSaysWhereItIsWrong(t *testing.T) {
	dir := t.TempDir()
	for file, want := range map[string]string{
		filepath.Join(dir, "audit.log"): "", "/dev/full": "", filepath.Join(dir, "missing", "audit.log"): "no such file", dir: "is a directory",
	} {
		_, err := conf.Load(conf.Sources{File: "m.yaml", Data: []byte("audit:\n  file: " + file + "\n"), Rules: []conf.Rule{AuditFile()}})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "m.yaml:2: audit.file: cannot be written")
		require.ErrorContains(t, err, want)
	}
	_, err := os.Stat(filepath.Join(dir, "audit.log"))
	require.ErrorIs(t, err, os.ErrNotExist, "it makes no file")
}
