package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// The demo is watched as somebody does who has read nothing: by what it prints, and by asking
// its platform.
func TestTheDemoShowsAServiceDieAndComeBack(t *testing.T) {
	t.Parallel()
	temp, listen := t.TempDir(), proc.Free(t)
	p := proc.Command{Program: mep.Binary(), Args: []string{"demo", "--listen", listen}, Env: []string{"TMPDIR=" + temp}}.Start(t)
	require.Regexp(t, `^Open http://`+regexp.QuoteMeta(listen)+`/\S* in a browser`, p.FirstLine(time.Minute))
	said := func(what string) {
		t.Helper()
		wait.Until(t, what, func() bool { return strings.Contains(p.Stdout.String(), what) })
	}
	said("discovery finds: collision-warning, face-recognition, plate-recognition\n")
	found := func() map[string]mp1.State {
		res, err := http.Get("http://" + listen + mep.Base + "/services") //nolint:noctx // a test's
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var all []mp1.ServiceInfo
		require.NoError(t, json.NewDecoder(res.Body).Decode(&all))
		states := map[string]mp1.State{}
		for _, s := range all {
			states[s.SerName] = s.State
		}
		return states
	}
	all := map[string]mp1.State{"collision-warning": mp1.Active, "face-recognition": mp1.Active, "plate-recognition": mp1.Active}
	require.Equal(t, all, found())
	said("the consumer is told: collision-warning is SUSPENDED\n")
	require.Equal(t, map[string]mp1.State{"face-recognition": mp1.Active, "plate-recognition": mp1.Active}, found())
	said("the consumer is told: collision-warning is ACTIVE\n")
	require.Equal(t, all, found())

	p.Signal(syscall.SIGINT)
	require.Zero(t, p.Wait(), "%s", p.Both)
	require.Empty(t, p.Stderr.String())
	out := p.Stdout.String()
	require.Regexp(t, `(?s)collision-warning is dead.*collision-warning is SUSPENDED.*another agent.*collision-warning is ACTIVE.*the demo is over\n$`, out)
	require.NotRegexp(t, `(face|plate)-recognition is (SUSPENDED|gone)`, out, "nothing else dies")
	require.Equal(t, 1, strings.Count(out, "collision-warning is there"), "it comes back as what it was")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheDemoKeepsAFolderThatItIsGivenAndEndsByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := mepserver(t, 0, "demo", "--for", "1s", "--listen", proc.Free(t), "--data-dir", dir)
	require.Contains(t, out, "The data is kept in "+dir+".\n")
	require.Contains(t, mepserver(t, 0, "check", "--data-dir", dir), "sound")
	require.Contains(t, mepserver(t, 1, "demo", "--listen", "0.0.0.0:1"), "loopback")
	require.Contains(t, mepserver(t, 1, "demo", "--for", "soon"), `--for must be a duration such as 65s or 10m, not "soon"`)
}
