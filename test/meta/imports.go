package meta

import (
	"slices"
	"strings"
)

// row is a line of the import table in the house rules: what the non-test files
// of a folder and the folders below it may import. Test files may import more
// (testify, and the package that they test from outside), see testImport.
type row struct {
	dir     string
	project []string // rows of this module beside itself; a trailing /* includes those below
	outside []string // module prefixes; the standard library is always allowed
	never   []string // packages of the standard library that are not
}

// The modules behind a word of the table.
var (
	yamlModule  = []string{"go.yaml.in/yaml/v3"}
	logMetrics  = []string{"github.com/go-chassis/openlog", "github.com/prometheus"}
	agentExtras = []string{"golang.org/x/oauth2", "github.com/prometheus"}
	adapterOnly = []string{"github.com/apache/servicecomb-service-center", "github.com/go-chassis/cari", "github.com/go-chassis/go-archaius",
		"github.com/go-chassis/go-chassis/v2", "github.com/coreos/etcd", "go.etcd.io"}
)

// forChassis is what the plugins of a go-chassis application may import: the registry's
// interfaces, the type of a tag in their signatures, and the settings. More of go-chassis would
// need cari's newer releases, which do not go with service-center's.
var forChassis = []string{"github.com/go-chassis/go-chassis/v2/core/registry", "github.com/go-chassis/go-chassis/v2/pkg/util/tags",
	"github.com/go-chassis/go-archaius", "github.com/go-chassis/openlog", "github.com/prometheus"}

// forPlugins is what every plugin may import; its own folder is added.
var forPlugins = []string{"plugins", "plugins/certs", "plugins/failpoint", "logs", "conf", "mp1", "mp1/server", "mp1/openapi", "mp1/retryafter", "mp1/endpoint", "heartbeat"}

// forRooms is what the rooms of the adapter share: store and center may import these, and
// not each other.
var forRooms = []string{"plugins/servicecenter/etcd", "plugins/servicecenter/etcd/quota", "plugins/servicecenter/keys"}

// processes are what tests start others by: test/proc and test/built do it for them.
var processes = []string{"os/exec"}

// table is the house's import table. The longest dir that matches counts.
var table = []row{
	{dir: "mp1", project: []string{"mp1/spelling", "mp1/written"}, never: []string{"net/http"}},
	{dir: "heartbeat", never: []string{"net/http"}},
	{dir: "mp1/server", project: []string{"mp1", "mp1/openapi", "mp1/retryafter", "heartbeat"}},
	{dir: "mp1/client", project: []string{"mp1", "mp1/retryafter"}, outside: []string{"github.com/coder/websocket"}}, // delivery by WebSocket
	{dir: "mp1/openapi", project: []string{"mp1"}},
	{dir: "mp1/endpoint", project: []string{"mp1"}, outside: []string{"golang.org/x/net/idna"}, never: []string{"net/http"}},
	{dir: "mp1/retryafter"},
	{dir: "mp1/spelling", never: []string{"net/http"}},
	{dir: "mp1/written", never: []string{"net/http"}},
	{dir: "conf", project: []string{"mp1", "mp1/spelling"}, outside: yamlModule},
	{dir: "logs", outside: []string{"github.com/go-chassis/openlog"}},
	{dir: "plugins", project: []string{"plugins", "plugins/certs", "logs", "conf", "mp1", "mp1/server", "heartbeat"}, outside: logMetrics},
	{dir: "plugins/*", project: forPlugins, outside: logMetrics},
	{dir: "plugins/appsupport", project: slices.Concat(forPlugins, []string{"plugins/appsupport/*"}), outside: slices.Concat(logMetrics, []string{"golang.org/x/sys/unix"})}, // adjtimex
	{dir: "plugins/appsupport/rules", project: slices.Concat(forPlugins, []string{"plugins/appsupport/rules/*"}), outside: slices.Concat(logMetrics, []string{"golang.org/x/net/idna"})},
	{dir: "plugins/appsupport/rules/rfc2136", project: slices.Concat(forPlugins, []string{"plugins/appsupport/rules"}), outside: []string{"github.com/miekg/dns"}},
	{dir: "plugins/board", project: slices.Concat(forPlugins, []string{"plugins/board/*"}), outside: logMetrics},
	{dir: "plugins/board/state", project: forPlugins, outside: logMetrics},
	{dir: "plugins/certs", outside: []string{"github.com/youmark/pkcs8"}}, // files of keys and certificates, read again when they change
	{dir: "plugins/edgegallery", project: slices.Concat(forPlugins, []string{"plugins/edgegallery/*"}), outside: logMetrics},
	{dir: "plugins/edgegallery/kong", project: slices.Concat(forPlugins, []string{"plugins/edgegallery/pin"}), outside: logMetrics},
	{dir: "plugins/edgegallery/mepauth", project: slices.Concat(forPlugins, []string{"plugins/edgegallery/pin"}), outside: logMetrics},
	{dir: "plugins/edgegallery/pin", project: []string{"plugins/certs"}},
	{dir: "plugins/notify", project: forPlugins, outside: slices.Concat(logMetrics, []string{"github.com/coder/websocket"})},
	{dir: "plugins/failpoint"},
	{dir: "plugins/filesystem"},
	{dir: "plugins/identity", project: slices.Concat(forPlugins, []string{"plugins/identity/*"}), outside: slices.Concat(logMetrics, []string{"github.com/go-jose/go-jose/v4"})},
	{dir: "plugins/servicecenter", project: slices.Concat(forPlugins, []string{"plugins/servicecenter/*"}), outside: slices.Concat(logMetrics, adapterOnly)},
	{dir: "plugins/servicecenter/etcd", project: slices.Concat(forPlugins, []string{"plugins/filesystem", "plugins/servicecenter/etcd/*"}), outside: slices.Concat(logMetrics, []string{"go.etcd.io", "google.golang.org/grpc", "go.uber.org/zap"})},
	{dir: "plugins/servicecenter/etcd/quota"},
	{dir: "plugins/servicecenter/keys", project: []string{"heartbeat"}, outside: []string{"github.com/apache/servicecomb-service-center", "github.com/go-chassis/cari", "go.etcd.io"}},
	{dir: "plugins/servicecenter/store", project: slices.Concat(forPlugins, forRooms, []string{"mp1/written"}), outside: slices.Concat(logMetrics, []string{"github.com/apache/servicecomb-service-center", "github.com/go-chassis/cari", "go.etcd.io", "google.golang.org/grpc"})},
	{dir: "plugins/servicecenter/edgegallery", project: slices.Concat(forPlugins, []string{"plugins/servicecenter/etcd"}), outside: []string{"go.etcd.io"}},
	{dir: "plugins/servicecenter/center", project: slices.Concat(forPlugins, forRooms), outside: slices.Concat(logMetrics, adapterOnly)},
	{dir: "plugins/servicecenter/etcd/etcdtest", project: []string{"plugins", "plugins/servicecenter/etcd/quota"}, outside: []string{"go.etcd.io", "go.uber.org/zap"}},
	{dir: "plugins/servicecenter/store/storetest", project: []string{"heartbeat", "mp1"}, outside: []string{"github.com/apache/servicecomb-service-center", "go.etcd.io"}},
	{dir: "plugins/servicecenter/center/centertest"},
	{dir: "agent", project: []string{"mp1", "mp1/client"}, outside: slices.Concat(agentExtras, []string{"github.com/coder/websocket"})}, // its tests play a platform that notifies by WebSocket
	{dir: "agent/chassis", project: []string{"agent", "mp1", "mp1/client", "mp1/endpoint"}, outside: forChassis},
	{dir: "cmd/early", never: []string{"net/http"}},
	{dir: "cmd/revision"},
	{dir: "cmd/provision"},
	{dir: "cmd/remote", project: []string{"logs"}},
	{dir: "cmd/terminal", project: []string{"logs"}},
	{dir: "cmd/adminapi", project: []string{"cmd/remote", "conf", "mp1"}},
	{dir: "cmd/operate", project: []string{"cmd/remote", "cmd/terminal", "conf", "mp1", "mp1/client", "plugins", "plugins/filesystem"}},
	{dir: "cmd/demo", project: []string{"agent", "mp1", "mp1/client"}},
	{dir: "cmd/mepserver", project: []string{"cmd/early", "cmd/demo", "cmd/operate", "cmd/remote", "cmd/terminal", "cmd/revision", "cmd/provision", "cmd/adminapi", "logs", "conf", "mp1/spelling", "plugins/*"}, outside: logMetrics},
	{dir: "cmd/mep-agent", project: []string{"cmd/early", "cmd/revision", "cmd/terminal", "logs", "conf", "agent", "mp1", "mp1/client"}, outside: agentExtras},
	{dir: "build"},
	{dir: "test", project: []string{"*"}, outside: []string{""}, never: processes},
	{dir: "test/built"},
	{dir: "test/consumer", project: []string{"mp1"}, never: processes},
	{dir: "test/docs", project: []string{"*"}, outside: []string{""}},
	{dir: "test/edgegallery", never: processes},
	{dir: "test/etcd", outside: []string{"go.etcd.io", "go.uber.org/zap"}, never: processes},
	{dir: "test/mep", project: []string{"mp1"}, never: processes},
	{dir: "test/meta", outside: []string{""}},
	{dir: "test/mutants", outside: []string{""}},
	{dir: "test/kong", never: processes},
	{dir: "test/mepauth", never: processes},
	{dir: "test/nameserver", outside: []string{"github.com/miekg/dns", "github.com/stretchr/testify"}, never: processes},
	{dir: "test/pki", never: processes},
	{dir: "test/printed", never: processes},
	{dir: "test/proc"},
	{dir: "test/proxy", never: processes},
	{dir: "test/tier"},
	{dir: "test/site", project: []string{"plugins/edgegallery/pin"}, outside: []string{"github.com/stretchr/testify"}, never: processes},
	{dir: "test/wait", never: processes},
	{dir: "test/e2e", project: []string{"mp1", "mp1/client"}, outside: []string{"github.com/stretchr/testify", "github.com/coder/websocket"}, never: processes},
	{dir: "test/browser", outside: []string{""}},                                                             // a module of its own
	{dir: "test/e2e/clients", outside: []string{""}},                                                         // a module of its own
	{dir: "test/e2e/chassis", project: []string{"agent/chassis", "test/e2e/chassis"}, outside: []string{""}}, // the same
	{dir: "test/e2e/chromium", outside: []string{""}},                                                        // the same
	{dir: "test/e2e/oidc", outside: []string{""}},                                                            // the same
	{dir: "test/chaos", project: []string{"mp1", "mp1/client"}, outside: []string{"github.com/stretchr/testify"}, never: processes},
	{dir: "test/bench", project: []string{"mp1", "mp1/client", "cmd/remote"}, outside: []string{"github.com/stretchr/testify", "github.com/HdrHistogram/hdrhistogram-go"}, never: processes},
	{dir: "test/bench/load", outside: []string{"github.com/stretchr/testify", "github.com/HdrHistogram/hdrhistogram-go"}, never: processes},
	{dir: "test/bench/report", outside: []string{"github.com/stretchr/testify", "github.com/HdrHistogram/hdrhistogram-go"}, never: processes},
	{dir: "test/bench/suite", project: []string{"mp1", "mp1/client"}, outside: []string{"go.etcd.io/etcd/api", "google.golang.org/grpc"}, never: processes}, // etcd's raw keep-alives, to compare with
	{dir: "test/conformance", project: []string{"mp1", "mp1/client"}, outside: []string{"github.com/stretchr/testify"}, never: processes},
}

// Imports checks every import of the tree against the table.
func Imports(t *Tree) []Finding {
	const rule = "imports"
	var out []Finding
	for _, f := range t.goFiles() {
		r, ok := rowFor(f.Dir())
		for _, spec := range f.Go.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			why := ""
			switch {
			case !ok && !f.Test():
				why = "the table has no row for " + f.Dir()
			case f.Test() && testImport(t, f, imp):
			default:
				why = refused(t, r, f, imp)
			}
			if why != "" {
				out = append(out, Finding{rule, f.Path, f.Line(spec.Pos()), imp + ": " + why})
			}
		}
	}
	return out
}

// rowFor gives the row of a folder, or false when the table has none.
func rowFor(dir string) (row, bool) {
	var best row
	most := -1
	for _, r := range table {
		base, below := strings.CutSuffix(r.dir, "/*")
		score := 2 * len(base)
		if below {
			score++ // than the row of the folder itself, which is no match below it
		}
		if below && dir == base {
			continue
		}
		if within(dir, base) && score > most {
			best, most = r, score
		}
	}
	return best, most >= 0
}

// testTools break links between processes, make certificates, compare documents, stand in for EdgeGallery's platform and a DNS server,
// start etcd, register services and ask service-center. They know nothing of what they test (their rows say so), and unit
// tests need them as much as those in test.
var testTools = []string{"test/edgegallery", "test/kong", "test/mepauth", "test/nameserver", "test/proxy", "test/pki", "test/printed",
	"plugins/servicecenter/etcd/etcdtest", "plugins/servicecenter/store/storetest", "plugins/servicecenter/center/centertest"}

// testImport tells whether a test file may have what its package may not: the
// test framework, and the package itself from its external tests.
func testImport(t *Tree, f File, imp string) bool {
	if tool, ok := strings.CutPrefix(imp, t.Module+"/"); ok && slices.Contains(testTools, tool) {
		return true
	}
	if f.Dir() != "." && imp == t.Module+"/"+f.Dir() {
		return true
	}
	return hasPrefix(imp, "github.com/stretchr/testify") || (imp == "net/http" || imp == "net/http/httptest")
}

// refused says why the row does not allow the import, or "".
func refused(t *Tree, r row, f File, imp string) string {
	if imp == t.Module || strings.HasPrefix(imp, t.Module+"/") {
		return refusedProject(r, f, strings.TrimPrefix(strings.TrimPrefix(imp, t.Module), "/"))
	}
	if hasPrefix(imp, adapterOnly...) && !within(f.Dir(), "plugins/servicecenter", "agent/chassis", "test") {
		return "only plugins/servicecenter may import it"
	}
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") { // standard library
		for _, n := range r.never {
			if hasPrefix(imp, n) {
				return r.dir + " must not know it"
			}
		}
		return ""
	}
	for _, o := range r.outside {
		if o == "" || hasPrefix(imp, o) {
			return ""
		}
	}
	return r.dir + " may not import it"
}

func refusedProject(r row, f File, target string) string {
	if within(target, "test") {
		if within(f.Dir(), "test") {
			return ""
		}
		return "nothing imports test"
	}
	if own, other := plugin(f.Dir()), plugin(target); own != "" && other != "" && own != other {
		return "a plugin may not import a sibling"
	}
	to, _ := rowFor(target)
	if to.dir == r.dir {
		return "" // a part of the same
	}
	for _, p := range r.project {
		base, below := strings.CutSuffix(p, "/*")
		if p == "*" || to.dir == base || (below && within(target, base)) {
			return ""
		}
	}
	return r.dir + " may not import " + target
}

// plugin is the name of the plugin that a folder belongs to, or "".
func plugin(dir string) string {
	rest, ok := strings.CutPrefix(dir, "plugins/")
	if !ok || rest == "failpoint" || rest == "certs" || rest == "filesystem" { // they serve them all
		return ""
	}
	return strings.SplitN(rest, "/", 2)[0]
}

func hasPrefix(imp string, modules ...string) bool {
	for _, m := range modules {
		if m != "" && (imp == m || strings.HasPrefix(imp, m+"/")) {
			return true
		}
	}
	return false
}
