package center

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/cache"
	sccache "github.com/apache/servicecomb-service-center/pkg/cache"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"
)

const registryPath = "/v4/default/registry/"

// provider registers a microservice with an instance, whose lease outlives every test.
func provider(t *testing.T, name string) {
	t.Helper()
	status, _, b := web.Send(t, "POST", registryPath+"microservices", fmt.Sprintf(
		`{"service":{"serviceId":%q,"appId":"finds","serviceName":%q,"version":"1.0.0"},"instances":[{"instanceId":%q,"hostName":"h","endpoints":["rest://10.0.0.1:80"],"healthCheck":{"mode":"push","interval":3600,"times":3}}]}`, name, name, name))
	require.Equal(t, http.StatusOK, status, b)
	require.Eventually(t, func() bool { return len(find(t, name, "0%2B")) == 1 }, 10*time.Second, 20*time.Millisecond)
}

func find(t *testing.T, name, rule string) []any {
	t.Helper()
	_, b := web.Get(t, registryPath+"instances?appId=finds&serviceName="+name+"&version="+rule)
	var m struct{ Instances []any }
	_ = json.Unmarshal([]byte(b), &m)
	return m.Instances
}

// nodes counts what lies below a provider's root.
func nodes(n *sccache.Node) (count int) {
	for _, c := range n.ChildNodes() {
		count += 1 + nodes(c)
	}
	return count
}

// Twelve batch finds of 25,000 version rules held 1.2 GB: each rule that anybody made up
// was remembered below its provider.
func TestFindsAreRememberedWithinABound(t *testing.T) {
	provider(t, "remembered")
	key := discovery.MicroServiceKey{Tenant: "default/default", AppId: "finds", ServiceName: "remembered"}
	ctx := util.WithCacheOnly(util.SetTargetDomainProject(util.SetDomainProject(context.Background(), "default", "default"), "default", "default"))
	remember := func(i int, key discovery.MicroServiceKey, consumer, rev string, tags ...string) {
		key.Version = fmt.Sprintf("0.0.0-1.%d.%d", i/30000+1, i%30000)
		_, err := cache.FindInstances.Get(ctx, &discovery.MicroService{ServiceId: consumer}, &key, tags, rev)
		require.NoError(t, err)
	}
	root := func() *sccache.Node {
		n, err := cache.FindInstances.Tree.Get(context.WithValue(ctx, cache.CtxFindProvider, &key), sccache.Options().ToLevel(1))
		require.NoError(t, err)
		return n
	}
	before := findBudgets.finds.estimate()
	remember(0, key, "", "")
	cost := findBudgets.finds.estimate() - before
	remember(0, key, "", "")
	require.Equal(t, cost, findBudgets.finds.estimate()-before, "what is remembered is not made again")
	require.Greater(t, cost, int64(5*nodeCost))

	most := 0
	for i := range 3 * maxFinds / (5 * nodeCost) { // enough for three times the bound
		remember(i, key, "", "")
		require.LessOrEqual(t, findBudgets.finds.estimate(), int64(maxFinds))
		if i%500 == 0 {
			most = max(most, nodes(root()))
		}
	}
	require.Greater(t, most, 1000, "they are remembered")
	require.LessOrEqual(t, most, maxFinds/nodeCost)
	for i := range 3 * maxFinds / (1000 * nodeCost) { // few with long names cost as much
		remember(0, key, "", strings.Repeat("r", 100*nodeCost)+fmt.Sprint(i))
		require.LessOrEqual(t, findBudgets.finds.estimate(), int64(maxFinds))
	}
	for i := range 3 * maxFinds / nodeCost { // and so do providers that do not exist
		key := key
		key.ServiceName = fmt.Sprint("nobody", i)
		remember(0, key, "", "")
	}
	require.LessOrEqual(t, findBudgets.finds.estimate(), int64(maxFinds))
	require.Len(t, find(t, "remembered", "0%2B"), 1, "and finds go on")
	status, _, _ := web.Send(t, "POST", registryPath+"microservices/remembered/instances", `{"instance":{"instanceId":"second","hostName":"h","endpoints":["rest://10.0.0.2:80"]}}`)
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool { return len(find(t, "remembered", "0%2B")) == 2 }, 10*time.Second, 20*time.Millisecond, "and see what changes")
}

func TestDependenciesAreRememberedWithinABound(t *testing.T) {
	ctx := context.Background()
	for i := range 3 * maxDependencies / nodeCost {
		cache.DependencyRule.ExistVersionRule(ctx, fmt.Sprint("consumer", i), &discovery.MicroServiceKey{Tenant: "default/default", AppId: "a", ServiceName: fmt.Sprint("n", i%10), Version: "1.0.0"})
		require.LessOrEqual(t, findBudgets.dependencies.estimate(), int64(maxDependencies))
	}
}

// Lists in bodies are bounded on every route that has any.
func TestListsInBodiesAreBounded(t *testing.T) {
	provider(t, "batched")
	list := func(n int, element string) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	for name, c := range map[string]struct {
		method, path, before, element, after string
	}{
		"finds":                  {"POST", registryPath + "instances/action?type=query", `{"services":[`, `{"service":{"appId":"finds","serviceName":"batched","version":"1.0.0"}}`, `]}`},
		"instances":              {"POST", registryPath + "instances/action?type=query", `{"instances":[`, `{"instance":{"serviceId":"batched","instanceId":"batched"}}`, `]}`},
		"heartbeats":             {"PUT", registryPath + "heartbeats", `{"Instances":[`, `{"serviceId":"batched","instanceId":"batched"}`, `]}`},
		"deletions":              {"DELETE", registryPath + "microservices", `{"serviceIds":[`, `"nobody"`, `]}`},
		"schemas":                {"POST", registryPath + "microservices/batched/schemas", `{"schemas":[`, `{"schemaId":"s","schema":"x"}`, `]}`},
		"instances of a new one": {"POST", registryPath + "microservices", `{"service":{"serviceName":"y","version":"1.0.0"},"instances":[`, `{"hostName":"h","endpoints":["rest://1"]}`, `]}`},
		"dependencies":           {"PUT", registryPath + "dependencies", `{"dependencies":[`, `{"consumer":{"appId":"finds","serviceName":"batched","version":"1.0.0"},"providers":[]}`, `]}`},
		"properties":             {"PUT", registryPath + "microservices/batched/properties", `{"properties":{`, `"":""`, `}}`},
	} {
		status, _, b := web.Send(t, c.method, c.path, c.before+list(1001, c.element)+c.after)
		require.Contains(t, []int{400, 413}, status, "%s: %.300s", name, b)
		require.Contains(t, b, "send several", name)
	}
	status, _, b := web.Send(t, "POST", registryPath+"instances/action?type=query", `{"services":[`+list(1000, `{"service":{"appId":"finds","serviceName":"batched","version":"1.0.0"}}`)+`]}`)
	require.Equal(t, 200, status, "%.300s", b)
	require.Equal(t, 1000, strings.Count(b, `"instanceId":"batched"`), "a thousand are carried out")
	status, _, _ = web.Send(t, "PUT", registryPath+"microservices/batched/properties", strings.Repeat("[", maxNesting+1))
	require.Equal(t, 400, status)
	status, _, _ = web.Send(t, "DELETE", registryPath+"microservices", `{"serviceIds":["`+strings.Repeat("x", maxFreeBody)+`"]}`)
	require.Equal(t, 413, status)
}

func TestWhatIsInTextsIsNotCounted(t *testing.T) {
	require.True(t, bounded([]byte(`{"a":"`+strings.Repeat(`,[{\"`, 5000)+`"}`)))
	require.True(t, bounded([]byte(strings.Repeat("]", 100)+strings.Repeat("[]", 2000))))
	require.True(t, bounded([]byte(`[`+strings.TrimSuffix(strings.Repeat("1,", maxElements), ",")+`]`)))
	require.False(t, bounded([]byte(`[`+strings.Repeat("1,", maxElements)+`1]`)))
	require.False(t, bounded([]byte(`{"x":[[],{"y":[`+strings.Repeat(`"\\",`, maxElements)+`1]}]}`)))
	require.False(t, bounded([]byte(strings.Repeat(`{"a":`, maxNesting+1))))
	require.True(t, bounded(nil))
	require.True(t, bounded([]byte(`"\`)))
}

// A batch is refused for what it would answer with, too: a few hundred rules that all
// match a service of many instances are an answer of a gigabyte.
func TestABatchCountsWhatItAnswersWith(t *testing.T) {
	provider(t, "counted")
	ask := func(body string) int {
		r := web.Request(t, "POST", registryPath+"instances/action?type=query", body)
		util.SetRequestContext(r, util.CtxDomain, "default")
		util.SetRequestContext(r, util.CtxProject, "default")
		return answersWith(r, []byte(body))
	}
	one := `{"service":{"appId":"finds","serviceName":"counted","version":"%s"}}`
	require.Zero(t, ask(fmt.Sprintf(`{"services":[`+one+`]}`, "0+")), "one find is as large as it is")
	three := fmt.Sprintf(`{"services":[`+one+`,`+one+`,`+one+`]}`, "0+", "1.0.0+", "latest")
	require.Eventually(t, func() bool { return ask(three) > 0 }, time.Minute, 10*time.Millisecond, "its cache hears of the provider")
	require.Equal(t, 3, ask(three))
	require.Equal(t, 2, ask(fmt.Sprintf(`{"services":[null,`+one+`,{},{"service":{"appId":"finds","serviceName":"nobody","version":"0+"}},`+one+`]}`, "0+", "1.0.0+")))
	require.Equal(t, 2, ask(fmt.Sprintf(`{"consumerServiceId":"counted","services":[`+one+`,`+one+`]}`, "0+", "1.0.0+")))
}

// Where a provider has consumers, service-center takes a rule of it for an instance, and
// panics on a goroutine of its pool. What was found for them must be forgotten all the same.
func TestARuleOfAProviderThatHasConsumersIsNoPanic(t *testing.T) {
	const registry = "/v4/default/registry/"
	for _, b := range []string{
		`{"service":{"serviceId":"ruled","appId":"ruled","serviceName":"ruled","version":"1.0.0"},"instances":[{"instanceId":"ruled","hostName":"h","endpoints":["rest://10.0.0.1:80"]}]}`,
		`{"service":{"serviceId":"ruler","appId":"ruled","serviceName":"ruler","version":"1.0.0"}}`,
	} {
		status, _, text := web.Send(t, "POST", registry+"microservices", b)
		require.Equal(t, 200, status, text)
	}
	found := func() bool {
		res, err := http.DefaultClient.Do(web.Request(t, "GET", registry+"instances?appId=ruled&serviceName=ruled&version=1.0.0", "", "X-ConsumerId", "ruler"))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return strings.Contains(string(b), "10.0.0.1")
	}
	require.Eventually(t, func() bool { return found() }, 20*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		_, _, text := web.Send(t, "GET", registry+"microservices/ruled/consumers", "")
		return strings.Contains(text, "ruler")
	}, 20*time.Second, 50*time.Millisecond, "it is noted as a consumer")
	status, _, text := web.Send(t, "POST", registry+"microservices/ruled/rules",
		`{"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":"ruler"}]}`)
	require.Equal(t, 200, status, text)
	require.Eventually(t, func() bool { return !found() }, 20*time.Second, 50*time.Millisecond, "the rule counts at once")
	require.Never(t, func() bool { return strings.Contains(logged.String(), "is *discovery.ServiceRule, not") }, 500*time.Millisecond, 50*time.Millisecond,
		"it would be a task of service-center's, a moment later")
}
