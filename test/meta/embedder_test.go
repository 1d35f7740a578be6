package meta

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who embeds the agent or the client gets what they need, and not the server's store,
// ServiceComb or gRPC. That our replacements are not needed either, docs/sdk.md shows in a
// module of its own.
func TestWhatAnEmbedderGetsIsSmall(t *testing.T) {
	for pkg, modules := range map[string][]string{
		"./mp1/client": {"github.com/coder/websocket"},
		"./agent": {"github.com/coder/websocket", "github.com/prometheus/", "golang.org/x/oauth2", "golang.org/x/sys/", "google.golang.org/protobuf/", "github.com/beorn7/perks/",
			"github.com/cespare/xxhash/", "github.com/klauspost/compress/", "github.com/munnerz/goautoneg"},
	} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg)
		list.Dir = root
		out, err := list.Output()
		require.NoError(t, err)
		tree, err := Walk(root)
		require.NoError(t, err)
		ours := []string{tree.Module + "/mp1", tree.Module + "/mp1/client", tree.Module + "/mp1/retryafter", tree.Module + "/mp1/spelling", tree.Module + "/mp1/written", tree.Module + "/agent"}
		for path := range strings.FieldsSeq(string(out)) {
			ok := slices.Contains(ours, path) || slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(path, m) })
			require.True(t, ok, "%s needs %s", pkg, path)
		}
	}
}
