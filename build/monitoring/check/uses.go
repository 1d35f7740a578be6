package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// findings are what both files use.
type findings struct {
	Alerts []alert
	Uses   []use
}

// alert is a rule.
type alert struct{ Name, Group, Expr, For, Severity, Summary, Runbook string }

// use is a metric in an expression, with the labels that the expression wants of it.
type use struct {
	By       string // "alert NAME" or "panel TITLE"
	Metric   string
	Matchers []matcher
	Labels   []string // those that are grouped by, or stand in a legend
}

type matcher struct{ Label, Type, Value string }

func read(dashboardFile, rulesFile string) (findings, error) {
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		return findings{}, err
	}
	uses, err := usesOfDashboard(text)
	if err != nil {
		return findings{}, fmt.Errorf("%s: %w", dashboardFile, err)
	}
	text, err = os.ReadFile(rulesFile)
	if err != nil {
		return findings{}, err
	}
	alerts, more, err := usesOfRules(text)
	if err != nil {
		return findings{}, fmt.Errorf("%s: %w", rulesFile, err)
	}
	return findings{alerts, slices.Concat(more, uses)}, nil
}

func usesOfRules(text []byte) (alerts []alert, uses []use, err error) {
	groups, faults := rulefmt.Parse(text, false, model.UTF8Validation, newParser(), nil)
	if len(faults) > 0 {
		return nil, nil, errors.Join(faults...)
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				return nil, nil, fmt.Errorf("%s has a rule that is no alert", g.Name)
			}
			found, err := usesOf("alert "+r.Alert, r.Expr, r.Annotations["summary"])
			if err != nil {
				return nil, nil, err
			}
			uses = append(uses, found...)
			wait := ""
			if r.For > 0 {
				wait = r.For.String()
			}
			alerts = append(alerts, alert{r.Alert, g.Name, r.Expr, wait, r.Labels["severity"], r.Annotations["summary"], r.Annotations["runbook_url"]})
		}
	}
	return alerts, uses, nil
}

func usesOfDashboard(text []byte) (uses []use, err error) {
	plugins.RegisterDefaultPlugins() // panels and queries have schemas of their own
	// What it returns is never nil, and it leaves out the panels that it has checked.
	var faults cog.BuildErrors
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(text); err != nil && (!errors.As(err, &faults) || len(faults) > 0) {
		return nil, err
	}
	var d dashboard.Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	ids := map[uint32]bool{}
	for _, p := range d.Panels {
		var panels []dashboard.Panel
		if p.Panel != nil {
			panels = append(panels, *p.Panel)
		}
		if p.RowPanel != nil {
			panels = append(panels, p.RowPanel.Panels...)
		}
		for _, one := range panels {
			if one.Id == nil || ids[*one.Id] || one.Title == nil || len(one.Targets) == 0 {
				return nil, errors.New("a panel without an id of its own, a title or a query")
			}
			ids[*one.Id] = true
			for _, t := range one.Targets {
				q, ok := t.(*prometheus.Dataquery)
				if !ok {
					return nil, fmt.Errorf("%s asks by %T", *one.Title, t)
				}
				legend := ""
				if q.LegendFormat != nil {
					legend = *q.LegendFormat
				}
				found, err := usesOf("panel "+*one.Title, q.Expr, legend)
				if err != nil {
					return nil, err
				}
				uses = append(uses, found...)
			}
		}
	}
	return uses, nil
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

var (
	inLegend   = regexp.MustCompile(`\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}`)
	forGrafana = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
)

// usesOf are those of one expression; shown is what is made of its series, a legend or a summary.
func usesOf(by, expr, shown string) (uses []use, err error) {
	tree, err := newParser().ParseExpr(forGrafana.Replace(expr))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", by, err)
	}
	parser.Inspect(tree, func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		u := use{By: by, Metric: s.Name}
		for _, m := range s.LabelMatchers {
			if m.Name != model.MetricNameLabel {
				u.Matchers = append(u.Matchers, matcher{m.Name, m.Type.String(), m.Value})
			}
		}
		kept := true // the labels of the series are still there above the aggregations
		for _, above := range path {
			if a, ok := above.(*parser.AggregateExpr); ok {
				u.Labels = append(u.Labels, a.Grouping...)
				kept = false
			}
		}
		for _, m := range inLegend.FindAllStringSubmatch(shown, -1) {
			if !kept && !slices.Contains(u.Labels, m[1]) {
				err = fmt.Errorf("%s shows the label %s, which its expression leaves out", by, m[1])
			}
			u.Labels = append(u.Labels, m[1])
		}
		slices.Sort(u.Labels)
		u.Labels = slices.Compact(u.Labels)
		uses = append(uses, u)
		return nil
	})
	if err == nil && len(uses) == 0 {
		err = fmt.Errorf("%s asks for no metric", by)
	}
	return uses, err
}
