package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/edgegallery"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

const importing = "takes over what a real etcd 3.3 has kept, which it builds"

// importsFrom is the environment of a server that takes EdgeGallery's place.
func importsFrom(dir string) []string {
	return []string{"MEP_COMPAT=edgegallery", "MEP_EDGEGALLERY_IMPORT_FROM=" + dir}
}

// content is what is in the files of a directory.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		info, infoErr := e.Info()
		require.NoError(t, infoErr)
		out[path] = fmt.Sprintf("%x %s %s", sha256.Sum256(b), info.Mode(), info.ModTime())
		return err
	}))
	return out
}

// viaMep is a path as EdgeGallery's applications write it.
func viaMep(path string) string { return "/mep" + path }

// The store of EdgeGallery's mepserver was killed; an image was swapped. Agents beat the ids that
// they have by PUT and never register again, and consumers are notified as before.
func TestEdgeGallerysApplicationsNoticeNothingOfTheSwap(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", importing)
	data, c := edgegallery.StartStore(t), consumer.Start(t)
	type one struct{ app, id, state string }
	var all []one
	for i, state := range []string{"ACTIVE", "SUSPENDED", "INACTIVE", "ACTIVE"} {
		app := fmt.Sprintf("app-%d", i)
		all = append(all, one{app, data.Service(app, "name", state), state})
	}
	data.Subscribe("watcher", "4cecc872-e0b4-4383-94a1-6cdb447415a4", c.URL)
	data.SubscribeTermination("watcher", "4cecc872-e0b4-4383-94a1-6cdb447415a5", c.URL)
	ending := data.Service("app-ending", "ending", "ACTIVE")
	data.Put("/cse-sr/etsi/app-confirm-termination/app-ending/", `{"operationAction":"TERMINATING","TerminationStatus":1}`)
	data.Put("/cse-sr/inst/files///0000000000000004/00000000000000ff", `{"properties":{}}`)
	data.Kill()
	before := content(t, data.Dir)

	s := mep.Start(t, importsFrom(data.Dir)...)
	logged(s, "EdgeGallery's services were imported")
	logged(s, "holds another service than its key says") // what is left out is said, with its reason
	require.Equal(t, before, content(t, data.Dir), "a rollback finds everything as it was")
	report, err := os.ReadFile(filepath.Join(s.DataDir, "edgegallery-import.txt"))
	require.NoError(t, err)
	require.Contains(t, string(report), "services         5: 3 ACTIVE, 1 SUSPENDED, 1 INACTIVE")

	check := func() {
		t.Helper()
		for _, v := range all {
			require.Equal(t, v.state, s.State(v.id), "nobody is suspended by the swap")
			a := s.Want(200, "GET", viaMep(mep.ServicesOf(v.app)+"/"+v.id), "").Object(t)
			require.Equal(t, v.id, a["serInstanceId"])
			require.EqualValues(t, 60, a["livenessInterval"])
		}
		s.Want(200, "GET", viaMep(mep.SubscriptionsOf("watcher")+"/4cecc872-e0b4-4383-94a1-6cdb447415a4"), "")
		s.Want(200, "GET", viaMep(appSupport+"watcher/subscriptions/4cecc872-e0b4-4383-94a1-6cdb447415a5"), "")
	}
	check()
	s.Stop()
	s.Restart()
	require.NotContains(t, s.Log(), "services were imported\"")
	check()
	for i, want := range []int{204, 204, 409, 204} {
		path := viaMep(mep.LivenessOf(all[i].app, all[i].id))
		s.Want(want, "PUT", path, `{"state":"ACTIVE"}`)
	}
	wait.Until(t, "its consumer is told that the second is back", func() bool { return strings.Contains(fmt.Sprint(c.Changes()), "name STATE_CHANGED ACTIVE") })
	wait.Until(t, "an application that was being terminated goes", func() bool { return s.Do("GET", viaMep("/mec_service_mgmt/v1/services/"+ending), "").Status == 404 })
	s.Want(204, "DELETE", viaMep(mep.ServicesOf(all[0].app)+"/"+all[0].id), "")
	s.Want(404, "GET", viaMep(mep.ServicesOf(all[0].app)+"/"+all[0].id), "")
	s.Want(404, "GET", viaMep("/mec_service_mgmt/v1/services/"+all[0].id), "")
}

// A server that is killed while it imports does it again, as a whole.
func TestAnImportThatIsKilledIsDoneAgain(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", importing)
	const n = 300
	data := edgegallery.StartStore(t)
	want := map[string]bool{}
	for i := range n {
		want[data.Service(fmt.Sprintf("app-%d", i/30), fmt.Sprintf("name-%d", i%3), "ACTIVE")] = true
	}
	data.Kill()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // it need not be secret
	dir := t.TempDir()
	kills := 0
	for range 6 {
		p := proc.Command{Program: mep.Binary(), Args: []string{"--listen", proc.Free(t), "--data-dir", dir}, Env: importsFrom(data.Dir)}.Start(t)
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		p.Kill()
		kills++
	}
	for _, point := range []string{"import.begun", "import.written"} {
		fresh := t.TempDir()
		env := append(importsFrom(data.Dir), "MEP_FAILPOINTS="+point+"=exit")
		code, p := proc.Command{Program: mep.FailpointBinary(t), Args: []string{"--listen", proc.Free(t), "--data-dir", fresh}, Env: env}.Run(t, time.Minute)
		require.Equal(t, 3, code, p.Stderr.String())
		imports(t, data.Dir, fresh, want)
	}
	// The same when it imports anew, for the old image has written since and nobody here.
	for _, point := range []string{"import.over", "import.begun", "import.written"} {
		later := time.Now().Add(time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(data.Dir, "member", "snap", "db"), later, later))
		again := t.TempDir()
		imports(t, data.Dir, again, want)
		env := append(importsFrom(data.Dir), "MEP_FAILPOINTS="+point+"=exit")
		code, p := proc.Command{Program: mep.FailpointBinary(t), Args: []string{"--listen", proc.Free(t), "--data-dir", again}, Env: env}.Run(t, time.Minute)
		require.Equal(t, 3, code, p.Stderr.String())
		imports(t, data.Dir, again, want)
	}
	imports(t, data.Dir, dir, want)
}

// imports starts a server, which ends a half import, and says whether everything is there once.
func imports(t *testing.T, from, dir string, want map[string]bool) {
	t.Helper()
	s := mep.Options{DataDir: dir, Env: importsFrom(from)}.Start(t)
	got, err := s.Discover()
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Zero(t, suspensions(s))
	left, err := filepath.Glob(filepath.Join(dir, ".edgegallery-import-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, 204, s.Beat(func() (app, id string) {
		for id = range want {
			return fmt.Sprintf("app-%d", (number(id)-1)/30), id
		}
		return "", ""
	}()))
	s.Stop()
}

// number is which service it was that was written.
func number(id string) (n int) {
	_, _ = fmt.Sscanf(id[16:], "%x", &n)
	return n
}
