package monitoring

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/test/printed"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const (
	document      = "../../docs/metrics.md"
	rulesFile     = "../../build/monitoring/alerts.yaml"
	dashboardFile = "../../build/monitoring/dashboard.json"
)

// notWatched are metrics that no alert and no panel has, and why.
var notWatched = map[string]string{
	"mep_limit_per_second": "a setting, to compare with",
}

// ours are the names of metrics that the documents list; those of Go, of the process and of etcd
// are known by their own documents.
func ours(name string) bool {
	return strings.HasPrefix(name, "mep_") || strings.HasPrefix(name, "service_center_")
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// watched says who watches a metric, by its name alone; TestWhatIsWatchedIsThere asks Prometheus's parser.
type watched struct{ alerts, dashboard string }

func (w watched) by(t testing.TB, name string) string {
	t.Helper()
	word := regexp.MustCompile(`\b` + name + `(_bucket)?\b`)
	var parts []string
	for _, a := range alertsOf(t, w.alerts) {
		if word.MatchString(a.Expr) {
			parts = append(parts, a.Alert)
		}
	}
	if word.MatchString(w.dashboard) {
		parts = append(parts, "dashboard")
	}
	if parts == nil {
		return notWatched[name]
	}
	return strings.Join(parts, ", ")
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alertsOf(t testing.TB, text string) (all []rule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// unit is what a name says of it.
func unit(name string) string {
	base := strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(base, "_seconds"), strings.HasSuffix(base, "_seconds_left"):
		return "s"
	case strings.HasSuffix(base, "_microseconds"):
		return "µs"
	case strings.Contains(base, "_bytes"):
		return "bytes"
	case strings.HasSuffix(base, "_cpu_usage"):
		return "ratio"
	}
	return "1"
}

// shownLabels are the labels of a metric, of ours with their values.
func (f *family) shownLabels() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f.labels)) {
		values := slices.Sorted(maps.Keys(f.labels[name]))
		switch {
		case name == "le" || name == "quantile":
		case strings.HasPrefix(f.name, "mep_"):
			parts = append(parts, "`"+name+"`: "+strings.Join(values, ", "))
		default:
			parts = append(parts, "`"+name+"`")
		}
	}
	return strings.Join(parts, "; ")
}

func (all families) table(t testing.TB, w watched) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | says | watched by |\n|---|---|---|---|---|---|\n")
	for _, name := range all.names() {
		if f := all[name]; ours(name) {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, f.typ, unit(name), f.shownLabels(), f.help, w.by(t, name))
		}
	}
	return b.String()
}

func alertTable(t testing.TB, text string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| alert | severity | fires when | for | look at |\n|---|---|---|---|---|\n")
	for _, r := range alertsOf(t, text) {
		_, where, _ := strings.Cut(r.Annotations["runbook_url"], "/docs/")
		_, heading, _ := strings.Cut(where, "#")
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | [%s](%s) |\n", r.Alert, r.Labels["severity"], strings.ReplaceAll(r.Expr, "|", `\|`), r.For, strings.ReplaceAll(heading, "-", " "), where)
	}
	return b.String()
}

// What is shown under load or after an accident only is of no use to a reference: every series
// must be there from the start, so that an alert sees it rise.
func TestTheMetricsAreDocumented(t *testing.T) {
	server, agent := gather(t)
	for name, all := range map[string]families{"mepserver": server, "mep-agent": agent} {
		for _, metric := range all.names() {
			require.NotEmpty(t, all[metric].help, "%s: %s has no help", name, metric)
			require.NotEqual(t, "untyped", all[metric].typ, "%s: %s", name, metric)
		}
	}
	w := watched{read(t, rulesFile), read(t, dashboardFile)}
	printed.Compare(t, *update, document, "alerts", "./test/monitoring", alertTable(t, w.alerts))
	printed.Compare(t, *update, document, "metrics of mepserver", "./test/monitoring", server.table(t, w))
	printed.Compare(t, *update, document, "metrics of mep-agent", "./test/monitoring", agent.table(t, w))
}

func TestEveryMetricIsWatchedOrSaysWhyNot(t *testing.T) {
	w := watched{read(t, rulesFile), read(t, dashboardFile)}
	rows := regexp.MustCompile("(?m)^\\| `(mep_[a-z_]+)` \\|").FindAllStringSubmatch(read(t, document), -1)
	require.Greater(t, len(rows), 100)
	for _, m := range rows {
		require.NotEmpty(t, w.by(t, m[1]), "%s: give it an alert, a panel in build/monitoring/check, or a reason in notWatched", m[1])
	}
	for name := range notWatched {
		require.NotContains(t, w.alerts+w.dashboard, name, "it is watched")
	}
	require.Empty(t, w.by(t, "mep_nobody_watches_this"), "the search finds what is not there")
}
