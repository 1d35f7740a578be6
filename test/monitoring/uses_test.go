package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

// findings are what build/monitoring/check prints.
type findings struct {
	Alerts []struct{ Name, Group, Expr, For, Severity, Summary, Runbook string }
	Uses   []use
}

type use struct {
	By, Metric string
	Matchers   []struct{ Label, Type, Value string }
	Labels     []string
}

// checker is the program that has Grafana's schema and Prometheus's parser.
func checker(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	tier.Long(t, "test/monitoring", "builds Prometheus's parser and Grafana's schema")
	code, p := proc.Command{Program: built.Module(t, "build/monitoring/check", "."), Args: args}.Run(t, time.Minute)
	return code, p.Stdout.String(), p.Stderr.String()
}

func uses(t *testing.T, dashboard, rules string) (f findings) {
	t.Helper()
	code, out, errs := checker(t, "uses", dashboard, rules)
	require.Zero(t, code, "%s", errs)
	require.NoError(t, json.Unmarshal([]byte(out), &f))
	return f
}

func TestTheDashboardIsThatOfTheTable(t *testing.T) {
	code, out, errs := checker(t, "dashboard")
	require.Zero(t, code, "%s", errs)
	require.Equal(t, out, read(t, dashboardFile), "run: go run . dashboard >../dashboard.json in build/monitoring/check")
}

// prometheusOwn are what Prometheus itself adds to every target, and to alerts.
var prometheusOwn = map[string][]string{"": {"job", "instance"}, "up": {}, "ALERTS": {"alertname", "alertstate"}}

// unknown says what a program does not have of what is used. Values that are compared with = must
// be among those that a series has, and what a pattern names must be found by it.
func (all families) unknown(u use) (wrong []string) {
	own, special := prometheusOwn[u.Metric]
	f := all.of(u.Metric)
	if f == nil && !special {
		return []string{u.By + ": there is no metric " + u.Metric}
	}
	known := func(name string) bool {
		if slices.Contains(prometheusOwn[""], name) || slices.Contains(own, name) {
			return true
		}
		return f != nil && f.labels[name] != nil
	}
	for _, name := range u.Labels {
		if !known(name) {
			wrong = append(wrong, u.By+": "+u.Metric+" has no label "+name)
		}
	}
	for _, m := range u.Matchers {
		switch {
		case !known(m.Label):
			wrong = append(wrong, u.By+": "+u.Metric+" has no label "+m.Label)
		case f == nil || slices.Contains(prometheusOwn[""], m.Label) || m.Label == "code":
		case !f.matches(m.Label, m.Type, m.Value):
			wrong = append(wrong, u.By+": no series of "+u.Metric+" has "+m.Label+m.Type+m.Value)
		}
	}
	return wrong
}

// matches tells whether each alternative of a matcher is a value of the label.
func (f *family) matches(label, how, value string) bool {
	alternatives := []string{value}
	if strings.HasSuffix(how, "~") {
		alternatives = strings.Split(value, "|")
	}
	for _, a := range alternatives {
		pattern := regexp.MustCompile("^(?:" + a + ")$")
		found := false
		for v := range f.labels[label] {
			found = found || pattern.MatchString(v)
		}
		if !found {
			return false
		}
	}
	return true
}

func TestWhatIsWatchedIsThere(t *testing.T) {
	f := uses(t, dashboardFile, rulesFile)
	require.Greater(t, len(f.Uses), 150)
	server, agent := gather(t)
	for _, u := range f.Uses {
		all := server
		if strings.HasPrefix(u.Metric, "mep_agent_") {
			all = agent
		}
		require.Empty(t, all.unknown(u))
	}
	for _, u := range []use{
		{By: "nobody", Metric: "mep_nothing"}, {By: "nobody", Metric: "mep_services", Labels: []string{"state"}},
		{By: "nobody", Metric: "mep_transactions_total", Matchers: []struct{ Label, Type, Value string }{{"kind", "=", "DEATH"}}},
		{By: "nobody", Metric: "mep_transactions_total", Matchers: []struct{ Label, Type, Value string }{{"kind", "=~", "CLAIM|DEATH"}}},
		{By: "nobody", Metric: "mep_transactions_total", Matchers: []struct{ Label, Type, Value string }{{"sort", "=", "CLAIM"}}},
	} {
		require.NotEmpty(t, server.unknown(u), "%v", u)
	}
}

// What Grafana or Prometheus would refuse is refused here.
func TestBrokenFilesOfMonitoringAreFound(t *testing.T) {
	dashboard, rules := read(t, dashboardFile), read(t, rulesFile)
	for why, change := range map[string][3]string{
		"an unknown option":              {"d", `"graphMode"`, `"graphModus"`},
		"a missing query":                {"d", `"expr"`, `"expression"`},
		"a panel twice":                  {"d", `"id": 3,`, `"id": 2,`},
		"no PromQL":                      {"d", `"expr": "sum(`, `"expr": "sum((`},
		"an unknown key":                 {"r", "        for: 1m\n", "        during: 1m\n"},
		"no PromQL in a rule":            {"r", `== 0`, `=== 0`},
		"a label that was summed away":   {"r", "sum by (limit, scope)", "sum by (limit)"},
		"a template that is not closed":  {"r", "{{ $labels.instance }} does", "{{ $labels.instance } does"},
		"a recording rule without a use": {"r", "alert: MepAgentDown\n", "record: mep:agents\n"},
	} {
		d, r := dashboard, rules
		if change[0] == "d" {
			d = strings.Replace(d, change[1], change[2], 1)
		} else {
			r = strings.Replace(r, change[1], change[2], 1)
		}
		require.False(t, d == dashboard && r == rules, why)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "d.json"), []byte(d), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(r), 0o600))
		code, _, errs := checker(t, "uses", filepath.Join(dir, "d.json"), filepath.Join(dir, "r.yaml"))
		require.Equal(t, 1, code, why)
		require.NotEmpty(t, errs, why)
	}
}
