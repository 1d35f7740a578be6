package site

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/edgegallery"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Blockers 5 and 10: the pod begins on the volume that EdgeGallery's mepserver left. Agents beat
// the ids that they have, consumers call the URLs that they have, and the portal shows the dead.
func TestThePodGoesOnWithTheVolumeOfEdgeGallery(t *testing.T) {
	network(t)
	left := edgegallery.StartStore(t)
	alive := left.Service(camera, "sampleapp", "ACTIVE")
	name := left.GatewayName("sampleapp")
	dead := left.Service(viewer, "other", "SUSPENDED")
	left.Kill()
	p := newPlatform(t)
	p.mepauth.RequireText(viewer, "*")
	require.NoError(t, os.CopyFS(p.path("usr/mep/data"), os.DirFS(left.Dir)))
	require.NoError(t, filepath.Walk(p.path("usr/mep/data"), func(path string, _ os.FileInfo, err error) error {
		require.NoError(t, err)
		return os.Chown(path, eguser, eguser)
	}))
	p.rehearse()
	p.start()
	log := p.server.Stderr.Settled()
	require.Contains(t, log, "/usr/mep/data")
	require.Contains(t, log, "EdgeGallery's services were imported")

	states := map[string]string{}
	var all []service
	p.want(http.StatusOK, "GET", around+mp1+"/services", "").into(t, &all)
	for _, s := range all {
		states[s.SerInstanceID+" of "+s.Links.AppInstanceID] = s.State
	}
	require.Equal(t, map[string]string{alive + " of " + camera: "ACTIVE", dead + " of " + viewer: "SUSPENDED"}, states)

	beat := gateway + mp1 + "/applications/" + camera + "/services/" + alive + "/liveness"
	p.want(http.StatusNoContent, "PUT", beat, `{"state":"ACTIVE"}`, p.bearer(camera)...)
	wait.Until(t, "the gateway to lead to it by the name that consumers have", func() bool { return p.kong.Entries()[name] != "" })
	require.True(t, strings.HasSuffix(p.discovered(viewer, "sampleapp")[0].TransportInfo.Endpoint.URIs[0], "/"+name))
	p.restart()
	require.Contains(t, p.server.Stderr.Settled(), "services were imported before")
	p.want(http.StatusNoContent, "PUT", beat, `{"state":"ACTIVE"}`, p.bearer(camera)...)
}

// rehearse has the import rehearsed in the container, which has no /tmp and, for once, no /dev/null:
// it prints the report alone, and leaves nothing behind.
func (p *pod) rehearse() {
	t := p.t
	t.Helper()
	require.NoError(t, os.Rename(p.path("dev/null"), p.path("dev/elsewhere")))
	code, r := p.command("import", "--edgegallery", "/usr/mep/data", "--dry-run").Run(t, time.Minute)
	require.NoError(t, os.Rename(p.path("dev/elsewhere"), p.path("dev/null")))
	require.Zero(t, code, "%s", r.Both)
	said := r.Both.Settled()
	require.True(t, strings.HasPrefix(said, "would import from /usr/mep/data\n"), said)
	require.Less(t, strings.Count(said, "\n"), 15, said)
	entries, err := os.ReadDir(p.path("usr/mep/data"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "EdgeGallery's member")
}
