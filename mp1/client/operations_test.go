package client

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// The list is of ETSI's OpenAPI documents: see test/contract.
func TestEveryOperationOfMp1HasAMethod(t *testing.T) {
	data, err := os.ReadFile("../../test/contract/testdata/etsi-mec011-v3.1.1.json")
	require.NoError(t, err)
	var facts struct{ Operations map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(data, &facts))
	require.Len(t, facts.Operations, 32)

	var mu sync.Mutex
	sent := map[string]bool{}
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent[r.Method+" "+r.URL.Path] = true
		w.WriteHeader(http.StatusTeapot)
	})
	c, ctx := p.client(t, ""), t.Context()
	subscription, termination := mp1.Base+"/applications/{appInstanceId}/subscriptions/{subscriptionId}", mp1.AppSupportBase+"/applications/{appInstanceId}/subscriptions/{subscriptionId}"
	const liveness = mp1.Base + "/resource_uri_allocated_by_MEC_platform"
	info := mp1.ServiceInfo{}
	for _, do := range []func() error{
		func() error { return second(c.Services(ctx, mp1.Filter{})) },
		func() error { return second(c.Service(ctx, "serviceId")) },
		func() error { return second(c.Transports(ctx)) },
		func() error { return second(c.ApplicationServices(ctx, "app", mp1.Filter{})) },
		func() error { return second(c.Register(ctx, "app", info)) },
		func() error { return second(c.ApplicationService(ctx, "app", "serviceId")) },
		func() error { return second(c.Update(ctx, "app", "serviceId", info)) },
		func() error { return c.Remove(ctx, "app", "serviceId") },
		func() error { return second(c.Liveness(ctx, liveness)) },
		func() error { return second(c.Beat(ctx, liveness)) },
		func() error { return second(c.Subscriptions(ctx, "app")) },
		func() error { return second(c.Subscribe(ctx, "app", mp1.Subscription{})) },
		func() error { return second(c.Subscription(ctx, subscription)) },
		func() error { return c.Unsubscribe(ctx, subscription) },
		func() error { return second(c.TerminationSubscriptions(ctx, "app")) },
		func() error { return second(c.SubscribeTermination(ctx, "app", mp1.Subscription{})) },
		func() error { return second(c.Subscription(ctx, termination)) },
		func() error { return c.Unsubscribe(ctx, termination) },
		func() error { return second(c.RegisterApplication(ctx, mp1.AppInfo{})) },
		func() error { return second(c.Registration(ctx, "app")) },
		func() error { return c.UpdateApplication(ctx, "app", mp1.AppInfo{}) },
		func() error { return c.DeregisterApplication(ctx, "app") },
		func() error { return c.ConfirmReady(ctx, "app") },
		func() error { return c.ConfirmTermination(ctx, "app", mp1.Terminating) },
		func() error { return second(c.CurrentTime(ctx)) },
		func() error { return second(c.TimingCaps(ctx)) },
		func() error { return second(c.DNSRules(ctx, "app")) },
		func() error { return second(c.DNSRule(ctx, "app", "dnsRuleId")) },
		func() error { return second(c.UpdateDNSRule(ctx, "app", mp1.DNSRule{DNSRuleID: "dnsRuleId"})) },
		func() error { return second(c.TrafficRules(ctx, "app")) },
		func() error { return second(c.TrafficRule(ctx, "app", "trafficRuleId")) },
		func() error {
			return second(c.UpdateTrafficRule(ctx, "app", mp1.TrafficRule{TrafficRuleID: "trafficRuleId"}))
		},
	} {
		var refused *Problem
		require.ErrorAs(t, do(), &refused)
		require.Equal(t, http.StatusTeapot, refused.Status)
	}
	braces := strings.NewReplacer("/app/", "/{appInstanceId}/", "/registrations/app", "/registrations/{appInstanceId}", "/serviceId", "/{serviceId}",
		"/dnsRuleId", "/{dnsRuleId}", "/trafficRuleId", "/{trafficRuleId}")
	var got []string
	for one := range sent {
		got = append(got, braces.Replace(one))
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(facts.Operations)), got)
}

func second[T any](_ T, err error) error { return err }
