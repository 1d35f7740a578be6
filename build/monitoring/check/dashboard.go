package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

const (
	variable = "${datasource}"
	chosen   = `instance=~"$instance"`
)

// on is a selector of the servers that somebody chose.
func on(selector string) string {
	name, labels, some := strings.Cut(strings.TrimSuffix(selector, "}"), "{")
	if some {
		return name + "{" + labels + "," + chosen + "}"
	}
	return name + "{" + chosen + "}"
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr(variable)}
}

// render makes the dashboard as Grafana imports it.
func render() ([]byte, error) {
	b := dashboard.NewDashboardBuilder("MEC service liveness").Uid("mepserver").Tags([]string{"mec", "mepserver"}).
		Description("mepserver and its agents. What to watch: docs/operators.md; every metric: docs/metrics.md").
		Timezone("browser").Refresh("10s").Time("now-1h", "now").Tooltip(dashboard.DashboardCursorSyncCrosshair).Readonly().
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("instance").Label("Server").Datasource(source()).
			Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(mep_replicas, instance)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Multi(true).IncludeAll(true).AllValue(".*"))
	id := uint32(0)
	for i, r := range rows() {
		id++
		line := dashboard.NewRowBuilder(r.title).Id(id).Collapsed(i > 1)
		var all []cog.Builder[dashboard.Panel]
		for _, p := range r.panels {
			id++
			all = append(all, p.builder(id))
		}
		if i > 1 {
			for _, p := range all {
				line.WithPanel(p)
			}
		}
		b.WithRow(line)
		if i > 1 {
			continue
		}
		for _, p := range all {
			b.WithPanel(p)
		}
	}
	d, err := b.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(d, "", " ")
	return append(text, '\n'), errors.Join(err, d.Validate())
}

func (p panel) builder(id uint32) cog.Builder[dashboard.Panel] {
	if p.now {
		b := stat.NewPanelBuilder().Id(id).Title(p.title).Unit(p.unit).Span(4).Height(4).Datasource(source()).
			GraphMode(common.BigValueGraphModeNone).Thresholds(p.thresholds()).Orientation(common.VizOrientationAuto).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
		for i, q := range p.queries {
			b.WithTarget(q.builder(i))
		}
		return b
	}
	b := timeseries.NewPanelBuilder().Id(id).Title(p.title).Unit(p.unit).Span(8).Height(7).Datasource(source()).Min(0).
		FillOpacity(10).Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	for i, q := range p.queries {
		b.WithTarget(q.builder(i))
	}
	return b
}

func (p panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	switch {
	case p.red > 0:
		steps = append(steps, dashboard.Threshold{Color: "red", Value: cog.ToPtr(p.red)})
	case p.red < 0:
		steps = []dashboard.Threshold{{Color: "red"}, {Color: "green", Value: cog.ToPtr(-p.red)}}
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func (q query) builder(i int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Expr(q.expr).LegendFormat(q.legend)
}
