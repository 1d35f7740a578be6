package monitoring

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/test/proc"
)

const casesFile = "../../build/monitoring/alerts_test.yaml"

// An alert says how bad it is, what is wrong in one sentence, and where to read on.
func TestEachAlertLeadsToWhatToDo(t *testing.T) {
	guide := read(t, "../../docs/operators.md")
	seen := map[string]bool{}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(guide, -1) {
		headings[strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	all := alertsOf(t, read(t, rulesFile))
	require.Greater(t, len(all), 40)
	for _, r := range all {
		require.Regexp(t, `^Mep[A-Z]\w+$`, r.Alert)
		require.False(t, seen[r.Alert], "%s twice", r.Alert)
		seen[r.Alert] = true
		require.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		before, heading, ok := strings.Cut(r.Annotations["runbook_url"], "#")
		require.True(t, ok, r.Alert)
		require.True(t, strings.HasSuffix(before, "/docs/operators.md"), r.Alert)
		require.True(t, headings[heading], "%s: docs/operators.md has no #%s", r.Alert, heading)
	}
	require.False(t, headings["what-is-not-there"])
}

// Each rule has a case in which it fires; that others do not fire in it says promtool.
func TestEachAlertHasACaseInWhichItFires(t *testing.T) {
	var cases struct {
		Tests []struct {
			Name  string
			Exprs []struct {
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, casesFile)), &cases))
	var fired []string
	quiet := 0
	for _, c := range cases.Tests {
		for _, e := range c.Exprs {
			if len(e.Samples) == 0 {
				quiet++
			}
			for _, s := range e.Samples {
				fired = append(fired, strings.Split(s.Labels, `"`)[1])
			}
		}
	}
	require.NotZero(t, quiet, "a case in which nothing is wrong")
	for _, r := range alertsOf(t, read(t, rulesFile)) {
		require.Contains(t, fired, r.Alert)
	}
	require.False(t, slices.Contains(fired, "MepNothing"))
}

// Prometheus's own tool, of Debian's package prometheus: rules and configuration are right, and of
// each case exactly the alerts fire that it says.
func TestTheRulesDoWhatTheirCasesSay(t *testing.T) {
	promtool := proc.Find(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", rulesFile}, {"test", "rules", casesFile},
		{"check", "config", "--syntax-only", "../../build/monitoring/prometheus.yaml"},
	} {
		code, p := proc.Command{Program: promtool, Args: args}.Run(t, 5*time.Minute) // it calculates hours of samples
		require.Zero(t, code, "promtool %v: %s%s", args, p.Stdout, p.Stderr)
	}
}
