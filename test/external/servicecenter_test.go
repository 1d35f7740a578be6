package external

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// health is what a replica tells ServiceComb's clients of service-center: the addresses
// of its replicas, in order.
func health(r *mep.Server) []string {
	a, err := r.Try(http.MethodGet, "/v4/default/registry/health", "")
	var body struct {
		Instances []struct{ Endpoints []string }
	}
	if err != nil || a.Status != http.StatusOK || json.Unmarshal(a.Body, &body) != nil {
		return nil
	}
	var out []string
	for _, i := range body.Instances {
		out = append(out, i.Endpoints...)
	}
	slices.Sort(out)
	return out
}

// Every replica tells ServiceComb's clients of every replica, from its start on: one that
// is stopped is gone at once, one that is killed with its lease. Mp1 shows none of it.
func TestEveryReplicaIsAnInstanceOfServiceCenter(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	address := func(all ...*mep.Server) (out []string) {
		for _, r := range all {
			out = append(out, "rest://"+strings.TrimPrefix(r.URL, "http://"))
		}
		slices.Sort(out)
		return out
	}
	one := start(t, c)
	require.Equal(t, address(one), health(one), "when it is ready")
	two, three := start(t, c), start(t, c)
	for _, r := range []*mep.Server{one, two, three} {
		wait.Until(t, "each knows all", func() bool { return slices.Equal(address(one, two, three), health(r)) })
	}
	ids, err := one.Discover()
	require.NoError(t, err)
	require.Empty(t, ids)
	require.Equal(t, 0, two.Terminate())
	wait.Until(t, "it left", func() bool { return slices.Equal(address(one, three), health(one)) })
	three.Kill()
	wait.Until(t, "its lease ended", func() bool { return slices.Equal(address(one), health(one)) })
	two.Restart()
	wait.Until(t, "it is back", func() bool {
		return slices.Equal(address(one, two), health(one)) && slices.Equal(address(one, two), health(two))
	})
	require.Zero(t, one.Metric(`mep_servicecomb_repairs_total{kind="instance"}`)+one.Metric(`mep_servicecomb_repairs_total{kind="microservice"}`))
}
