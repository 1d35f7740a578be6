package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/bench/report"
)

func TestAMissedTargetIsSaidPlainly(t *testing.T) {
	least, most := &report.Target{Bound: 0.8, AtLeast: true}, &report.Target{Bound: 5, Before: "23 ms"}
	for _, c := range []struct {
		r    report.Row
		want string
	}{
		{report.Row{Value: 0.8, Target: least}, "kept"},
		{report.Row{Value: 0.79, Target: least}, "**missed**"},
		{report.Row{Value: 5, Target: most}, "kept"},
		{report.Row{Value: 5.1, Target: most}, "**missed**"},
		{report.Row{Value: math.NaN(), Target: most}, "**missed**: no figure"},
		{report.Row{Value: 1}, "–"},
		{report.Row{Target: most, Skipped: "why"}, "not measured"},
	} {
		assert.Equal(t, c.want, c.r.Verdict(), "%+v", c.r)
	}
}

func TestTheTableHasOneLineForEachRow(t *testing.T) {
	rows := []report.Row{
		{Name: "p99", Value: 23.456, Unit: "ms", Target: &report.Target{Bound: 5, Before: "23 ms"}, Load: 0.256, More: "n=3 | and\nmore"},
		{Name: "other", Skipped: "no etcd", Load: -1},
	}
	table := strings.Split(strings.TrimSpace(report.Table(rows, true)), "\n")
	require.Len(t, table, 4)
	assert.Equal(t, "| p99 | 23 ms | ≤ 5 ms | 23.5 ms | **missed** | 26 % | n=3 / and more |", table[2])
	assert.Equal(t, "| other | – | – | – | not measured | – | not measured: no etcd |", table[3])
	assert.Contains(t, report.Table(rows, false), "| not judged |")
}

func TestAPlotIsWellFormedAndDrawsOnlyWhatWasMeasured(t *testing.T) {
	at := func(p float64) time.Duration { return time.Duration(1000*(1+p)) * time.Microsecond }
	svg := report.Plot("a < b & c", []report.Series{{Name: "ten", At: at, N: 10}, {Name: "many", At: at, N: 100000}})
	d, lines := xml.NewDecoder(strings.NewReader(svg)), []int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			for _, a := range e.Attr {
				if a.Name.Local == "points" {
					lines = append(lines, len(strings.Fields(a.Value)))
				}
			}
		}
	}
	require.Len(t, lines, 2)
	assert.Less(t, lines[0], lines[1], "ten values have no 99th percentile")
	assert.NotContains(t, svg, "NaN")
}

func TestTheMachineIsDescribed(t *testing.T) {
	assert.Regexp(t, `^\d+ × .+; .*memory.*; \w+ .+; go`, report.Machine())
}
