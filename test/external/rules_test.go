package external

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Each replica has a file of its own, one of them writes down what is so, and no two
// applications get one name, whichever replica they are defined at.
func TestRulesOfTwoReplicas(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	var files [2]string
	var replicas [2]*mep.Server
	for i := range replicas {
		files[i] = filepath.Join(t.TempDir(), "hosts")
		replicas[i] = mep.Options{Endpoints: c.Endpoints(), Env: append([]string{"MEP_RULES_DNS_DRIVER=hosts", "MEP_RULES_DNS_HOSTS_FILE=" + files[i]}, mep.Fast...)}.Start(t)
	}
	a, b := replicas[0], replicas[1]
	wait.Until(t, "both replicas are known", func() bool { return b.Metric("mep_replicas") == 2 })
	rules := func(app string) string { return "/mec_liveness/v1/applications/" + app + "/rules" }
	define := func(name string) string {
		return fmt.Sprintf(`{"dnsRules":[{"dnsRuleId":"d","domainName":%q,"ipAddressType":"IP_V4","ipAddress":"192.0.2.1"}]}`, name)
	}
	holds := func(i int, what string) bool {
		content, _ := os.ReadFile(files[i])
		return strings.Contains(string(content), what)
	}
	one := "/mec_app_support/v1/applications/app/dns_rules/d"
	a.Want(200, "PUT", rules("app"), define("a.example"))
	require.Equal(t, "INACTIVE", b.Want(200, "GET", one, "").Object(t)["state"], "defined a moment ago at the other")
	b.Want(200, "PUT", one, `{"state":"ACTIVE"}`)
	wait.Until(t, "both say so", func() bool {
		return a.Want(200, "GET", one, "").Object(t)["state"] == "ACTIVE" && b.Want(200, "GET", one, "").Object(t)["state"] == "ACTIVE"
	})
	wait.Until(t, "both files have it", func() bool { return holds(0, "a.example") && holds(1, "a.example") })

	for i := range 20 {
		var statuses [2]int
		var both sync.WaitGroup
		for j, r := range replicas {
			both.Go(func() {
				answer, err := r.Try("PUT", rules(fmt.Sprintf("racer-%d-%d", i, j)), define(fmt.Sprintf("race-%d.example", i)))
				if err == nil {
					statuses[j] = answer.Status
				}
			})
		}
		both.Wait()
		require.ElementsMatch(t, []int{200, 409}, statuses[:], "race %d", i)
	}

	a.Kill()
	b.Want(200, "PUT", one, `{"ipAddress":"192.0.2.9"}`)
	wait.Until(t, "the other has taken over", func() bool { return b.Want(200, "GET", one, "").Object(t)["state"] == "ACTIVE" })
	require.True(t, holds(1, "192.0.2.9\ta.example"))
	b.Want(200, "PUT", rules("app"), `{"dnsRules":[]}`)
	require.True(t, holds(0, "a.example"))
	a.Restart()
	wait.Until(t, "the file of the one that was away has it no more", func() bool { return !holds(0, "a.example") })
}
