package conf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALinkToDashboardsLeadsToItsHostWhateverServicesAreCalled(t *testing.T) {
	for _, good := range []string{
		"", "https://grafana.example/d/mec?var-service={serName}&var-app={appInstanceId}", "http://10.0.0.1:3000/{serInstanceId}#{appName}",
		"https://[::1]/x", "https://grafana.example", "https://grafana.example?x={serName}", "https://grafana.example/a%20b",
	} {
		c := Default()
		c.Board.DashboardURL = good
		require.NoError(t, c.Validate(), good)
	}
	for _, bad := range []string{
		"javascript:alert(1)//{serName}", "data:text/html,{serName}", "ftp://x/", "//grafana.example/", "/d/mec", "grafana.example/d", "https:///d", "https:grafana.example/d",
		"https://{serName}/d", "https://grafana.{serName}/d", "https://grafana.example{serName}", "{serName}://x/", "https://grafana.example:{serName}/", "https://user:secret@grafana.example/",
		"https://{serName}@grafana.example/", "https://grafana.example/{name}", "https://grafana.example/{", "https://grafana.example/}", "https://grafana.example/{{serName}}",
		"https://grafana.example/ d", "https://grafana.example/\n", "https://grafana.example\\@evil.example/", "https://grafana.example/\"><script>", "https://grafanä.example/",
		"HTTPS://Grafana.example/", "https://grafana.example/" + strings.Repeat("x", longestLink),
	} {
		c := Default()
		c.Board.DashboardURL = bad
		require.ErrorContains(t, c.Validate(), "board.dashboardURL", bad)
	}
}
