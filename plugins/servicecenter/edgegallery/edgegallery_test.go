package edgegallery

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	app     = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	service = "50437b5158331404"
	id      = "6bcda6b532c40ec2"
	window  = 2 * time.Minute
)

var now = time.Unix(1_795_780_000, 5)

// properties are those of a service that EdgeGallery's mepserver has registered.
func properties(change map[string]string) map[string]string {
	p := map[string]string{"serName": "uris", "version": "1.2.3", "serializer": "JSON", "appInstanceId": app, "mecState": "ACTIVE",
		"ScopeOfLocality": "MEC_SYSTEM", "ConsumedLocalOnly": "false", "IsLocal": "true", "livenessInterval": "60", "endPointType": "uris",
		"endpoint/http://10.0.0.6:80/b": "uris96e7701cea5711f1bf9b", "endpoint/http://10.0.0.5:80/a": "uris96e7700eea5711f1bf9b",
		"timestamp/seconds": "1795779733", "timestamp/nanoseconds": "999979038", "transportId": "Rest1",
		"transportInfo/id": "t1", "transportInfo/name": "REST", "transportInfo/type": "REST_HTTP", "transportInfo/protocol": "HTTP", "transportInfo/version": "2.0",
		"transportInfo/security/oAuth2Info/grantTypes": "OAUTH2_CLIENT_CREDENTIALS，OAUTH2_IMPLICIT_GRANT", "transportInfo/security/oAuth2Info/tokenEndpoint": "/tok"}
	for name, v := range change {
		if p[name] = v; v == "" {
			delete(p, name)
		}
	}
	return p
}

func instanceKV(t testing.TB, change map[string]string) *mvccpb.KeyValue {
	t.Helper()
	value, err := json.Marshal(map[string]any{"instanceId": id, "serviceId": service, "hostName": "default", "status": "UP", "properties": properties(change),
		"endpoints": []string{"http://mep-api-gw.mep:8000/uris96e7701cea5711f1bf9b", "http://mep-api-gw.mep:8000/uris96e7700eea5711f1bf9b"},
		"timestamp": "1795779700", "modTimestamp": "1795779720", "version": "1.0.0"})
	require.NoError(t, err)
	return &mvccpb.KeyValue{Key: []byte(instances + service + "/" + id), Value: value}
}

func contents(t testing.TB, kvs ...*mvccpb.KeyValue) *Contents {
	t.Helper()
	var r Reader
	for _, kv := range kvs {
		require.NoError(t, r.See(kv))
	}
	return r.Contents(now, window)
}

func TestAServiceIsWhatItsApplicationRegistered(t *testing.T) {
	c := contents(t, instanceKV(t, nil))
	require.Empty(t, c.Report.Left)
	require.Len(t, c.Services, 1)
	s := c.Services[0]
	require.Equal(t, heartbeat.Record{Schema: heartbeat.Schema, ID: service + id, Owner: app, State: heartbeat.Active, Seq: 1, Proposed: 60, Interval: 60, Window: 120,
		RegisteredAt: 1_795_779_700e9, ChangedAt: 1_795_779_720e9, LastBeat: 1_795_779_733_999_979_038}, s.Record)
	no := false
	require.Equal(t, mp1.ServiceInfo{SerName: "uris", Version: "1.2.3", State: mp1.Active, Serializer: "JSON", ScopeOfLocality: "MEC_SYSTEM", ConsumedLocalOnly: &no, TransportID: "Rest1",
		TransportInfo: &mp1.TransportInfo{ID: "t1", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0",
			Endpoint: mp1.EndPointInfo{URIs: []string{"http://10.0.0.6:80/b", "http://10.0.0.5:80/a"}},
			Security: mp1.SecurityInfo{OAuth2Info: &mp1.OAuth2Info{GrantTypes: []string{"OAUTH2_CLIENT_CREDENTIALS", "OAUTH2_IMPLICIT_GRANT"}, TokenEndpoint: "/tok"}}}}, s.Info)
	require.Equal(t, []plugins.GatewayEntries{{ID: service + id,
		Names: map[string]string{"http://10.0.0.5:80/a": "uris96e7700eea5711f1bf9b", "http://10.0.0.6:80/b": "uris96e7701cea5711f1bf9b"}}}, c.Gateway)
}

func TestTheLabelOfATransportIsTakenOverIfItCanBeKept(t *testing.T) {
	for label, want := range map[string]string{"Rest1": "Rest1", "": "", strings.Repeat("x", 1<<16): ""} {
		c := contents(t, instanceKV(t, map[string]string{"transportId": label}))
		require.Empty(t, c.Report.Left)
		require.Equal(t, want, c.Services[0].Info.TransportID)
	}
}

func TestEachStateIsTakenOver(t *testing.T) {
	for _, c := range []struct {
		change map[string]string
		want   func(*heartbeat.Record)
	}{
		{map[string]string{"mecState": "INACTIVE"}, func(r *heartbeat.Record) {
			r.State, r.Cause.Kind = heartbeat.Inactive, heartbeat.ByApplication
		}},
		{map[string]string{"mecState": "SUSPENDED"}, func(r *heartbeat.Record) {
			r.State, r.SuspendedAt = heartbeat.Suspended, r.LastBeat+int64(63*time.Second)
			r.ChangedAt, r.Cause.Kind = r.SuspendedAt, heartbeat.BySilence
		}},
		{map[string]string{"livenessInterval": "0"}, func(r *heartbeat.Record) { r.Proposed, r.Interval, r.Window = -1, 0, 0 }},
		{map[string]string{"livenessInterval": ""}, func(r *heartbeat.Record) { r.Proposed, r.Interval, r.Window = -1, 0, 0 }},
		{map[string]string{"livenessInterval": "17"}, func(*heartbeat.Record) {}}, // the original has no other than 60
		{map[string]string{"timestamp/seconds": "x"}, func(r *heartbeat.Record) { r.LastBeat = r.RegisteredAt }},
		{map[string]string{"timestamp/seconds": "99999999999"}, func(r *heartbeat.Record) { r.LastBeat = r.RegisteredAt }},
		{map[string]string{"timestamp/nanoseconds": "-1"}, func(r *heartbeat.Record) { r.LastBeat = 1_795_779_733e9 }},
	} {
		want := contents(t, instanceKV(t, nil)).Services[0].Record
		c.want(&want)
		got := contents(t, instanceKV(t, c.change))
		require.Empty(t, got.Report.Left)
		require.Equal(t, want, got.Services[0].Record, c.change)
		require.Equal(t, map[heartbeat.State]int{want.State: 1}, got.Report.States)
	}
}

func TestWhatIsNoServiceIsLeftOutWithItsReason(t *testing.T) {
	raw := func(rest, value string) *mvccpb.KeyValue {
		return &mvccpb.KeyValue{Key: []byte(instances + rest), Value: []byte(value)}
	}
	good := string(instanceKV(t, nil).Value)
	for reason, kv := range map[string]*mvccpb.KeyValue{
		"says of no application":         instanceKV(t, map[string]string{"appInstanceId": ""}),
		"whose id must be":               instanceKV(t, map[string]string{"appInstanceId": "../etc"}),
		`has the state "DOWN"`:           instanceKV(t, map[string]string{"mecState": "DOWN"}),
		`the livenessInterval "soon"`:    instanceKV(t, map[string]string{"livenessInterval": "soon"}),
		"sends no heartbeats":            instanceKV(t, map[string]string{"mecState": "SUSPENDED", "livenessInterval": "0"}),
		"is no service that can be":      instanceKV(t, map[string]string{"serName": ""}),
		"cannot be read":                 raw(service+"/"+id, `{"instanceId":`),
		"another service than its key":   raw(service+"/"+strings.Repeat("0", 16), good),
		"is not two times 16 hex digits": raw(strings.Repeat("a", 32)+"/"+id, good),
		"is larger than anything":        raw(service+"/"+id, good+strings.Repeat(" ", maxValue)),
	} {
		c := contents(t, kv)
		require.Empty(t, c.Services, reason)
		require.Equal(t, 1, c.Report.LeftOut, reason)
		require.Contains(t, c.Report.Left[0].Reason, reason)
		require.Equal(t, string(kv.Key), c.Report.Left[0].Key)
		require.Empty(t, c.Gateway)
	}
	twice := contents(t, instanceKV(t, nil), instanceKV(t, nil))
	require.Len(t, twice.Services, 1)
	require.Contains(t, twice.Report.Left[0].Reason, "the instanceId of another service")
	require.Equal(t, "is of a kind that is not known", contents(t, &mvccpb.KeyValue{Key: []byte(Root + "etsi/else")}).Report.Left[0].Reason)
}

func TestAServiceWithoutEndpointsIsOneThatOnlyItsApplicationKnows(t *testing.T) {
	none := map[string]string{"endPointType": "", "endpoint/http://10.0.0.6:80/b": "", "endpoint/http://10.0.0.5:80/a": ""}
	require.JSONEq(t, `{}`, string(contents(t, instanceKV(t, none)).Services[0].Info.TransportInfo.Endpoint.Alternative))
	alternative := instanceKV(t, none)
	alternative.Value = []byte(strings.Replace(strings.Replace(string(alternative.Value), `"serName"`, `"endPointType":"alternative","serName"`, 1),
		`"endpoints":["http://mep-api-gw.mep:8000/uris96e7701cea5711f1bf9b"`, `"endpoints":["{\"x\":1}"`, 1))
	require.JSONEq(t, `{"x":1}`, string(contents(t, alternative).Services[0].Info.TransportInfo.Endpoint.Alternative))
	long := contents(t, instanceKV(t, map[string]string{"endpoint/http://" + strings.Repeat("x", 3000): "n"}))
	require.Len(t, long.Services, 1)
	require.Contains(t, long.Report.Notes[0], "without its endpoints")
	require.Empty(t, long.Gateway)
	require.Empty(t, contents(t, instanceKV(t, map[string]string{"endpoint/http://10.0.0.5:80/a": "../admin"})).Gateway[0].Names["http://10.0.0.5:80/a"], "a name becomes part of URLs")
}

func kv(key, value string) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte(Root + "etsi/" + key), Value: []byte(value)}
}

func TestSubscriptionsKeepTheirIDs(t *testing.T) {
	const sub = "4cecc872-e0b4-4383-94a1-6cdb447415a4"
	ask := func(criteria string) *mvccpb.KeyValue {
		return kv("subscribe/"+app+"/"+sub, `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://10.0.0.9:9/cb","_links":{"self":{}},"filteringCriteria":`+criteria+`}`)
	}
	want := plugins.Subscription{ID: sub, Owner: app, Prefix: "/mep", Since: now.UnixNano(),
		Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://10.0.0.9:9/cb"}}
	yes := true
	for criteria, filter := range map[string]*mp1.FilteringCriteria{
		`{"serInstanceIds":null,"serNames":null,"serCategories":null,"states":null}`:                           nil,
		`{"serInstanceIds":null,"serNames":["uris"],"serCategories":null,"states":["ACTIVE"],"isLocal":true}`:  {SerNames: []string{"uris"}, States: []mp1.State{mp1.Active}, IsLocal: &yes},
		`{"serInstanceIds":["50437b51583314046bcda6b532c40ec2"],"serNames":[],"serCategories":[],"states":[]}`: {SerInstanceIDs: []string{service + id}},
		`{"serInstanceIds":["50437b51583314046bcda6b532c40ec2"],"serNames":["uris"],"states":["SUSPENDED"]}`:   {States: []mp1.State{mp1.Suspended}},
	} {
		c := contents(t, ask(criteria))
		want.Asked.FilteringCriteria = filter
		require.Empty(t, c.Report.Left, criteria)
		require.Equal(t, []plugins.Subscription{want}, c.Subscriptions, criteria)
		require.Equal(t, strings.Contains(criteria, `["uris"],"states":["SUSPENDED"]`), len(c.Report.Notes) == 1, "that it is told of more is said")
	}
	// What the body has as its type and its application does not count there.
	c := contents(t, kv("app-end-subscribe/"+app+"/"+sub, `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://10.0.0.9:9/end","_links":{"self":{}},"appInstanceId":"other"}`))
	want.Asked = mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType, CallbackReference: "http://10.0.0.9:9/end", AppInstanceID: app}
	require.Equal(t, []plugins.Subscription{want}, c.Subscriptions)
	for reason, bad := range map[string]*mvccpb.KeyValue{
		"http or https":          kv("subscribe/"+app+"/"+sub, `{"callbackReference":"ftp://a/"}`),
		"absolute URI":           kv("app-end-subscribe/"+app+"/"+sub, `{"callbackReference":"http://a b/"}`),
		"names no application":   kv("subscribe/../x", `{"callbackReference":"http://a/"}`),
		"names no application ":  kv("app-end-subscribe/"+app+"/a/b", `{"callbackReference":"http://a/"}`),
		"cannot be read":         kv("subscribe/"+app+"/"+sub, `[]`),
		"cannot be asked for":    kv("subscribe/"+app+"/"+sub, `{"callbackReference":"http://a/","filteringCriteria":{"serNames":"x"}}`),
		"cannot be asked for he": kv("subscribe/"+app+"/"+sub, `{"callbackReference":"http://a/","filteringCriteria":{"else":["x"]}}`),
	} {
		c := contents(t, bad)
		require.Empty(t, c.Subscriptions, reason)
		require.Contains(t, c.Report.Left[0].Reason, strings.TrimSpace(reason))
	}
}

func TestWhatAManagerAskedForIsAskedForOnceMore(t *testing.T) {
	const dns = `{"appTrafficRule":[],"appDNSRule":[{"dnsRuleId":"dns1","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","ttl":30,"state":"ACTIVE"}],"appSupportMp1":true,"appName":"myapp"`
	status := func(task, progress string) *mvccpb.KeyValue {
		return kv("mep/applcm/taskstatus/"+app+"/"+task, `{"progress":`+progress+`,"trafficRuleStatusList":null,"dnsRuleStatusList":[{"id":"dns1","state":2,"method":0}],"details":"it is full"}`)
	}
	task := func(id string, at int64) *mvccpb.KeyValue {
		one := kv("mep/applcm/tasks/"+id, app)
		one.ModRevision = at
		return one
	}
	ttl := 30
	wanted := &mp1.RuleSet{DNSRules: []mp1.DNSRule{{DNSRuleID: "dns1", DomainName: "www.example.com", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.7", TTL: &ttl, State: mp1.RuleActive}}, TrafficRules: []mp1.TrafficRule{}}
	processing := plugins.DeploymentTask{Result: plugins.TaskProcessing, Begun: now.UnixNano(), Config: &plugins.DeploymentConfig{AppName: "myapp", SupportMp1: true}, Wanted: wanted, Before: &mp1.RuleSet{}}
	over := func(id string, r plugins.TaskResult, reason string) plugins.DeploymentTask {
		return plugins.DeploymentTask{ID: id, Result: r, Reason: reason, Begun: now.UnixNano()}
	}
	for name, c := range map[string]struct {
		kvs  []*mvccpb.KeyValue
		last string // "": any
		want []plugins.DeploymentTask
	}{
		"configured": {[]*mvccpb.KeyValue{kv("appd/"+app, dns+"}"), task("b", 3), status("b", "1"), task("a", 2), status("a", "-1"), task("c", 1)}, "",
			[]plugins.DeploymentTask{over("c", plugins.TaskFailure, "what came of it is not known any more"), over("a", plugins.TaskFailure, "it is full"), over("b", plugins.TaskSuccess, ""), processing}},
		"being configured": {[]*mvccpb.KeyValue{kv("mep/applcm/jobs/"+app, dns+`,"operation":"POST"}`), task("b", 3), status("b", "0")}, "b", []plugins.DeploymentTask{processing}},
		"being deleted": {[]*mvccpb.KeyValue{kv("appd/"+app, dns+"}"), kv("mep/applcm/jobs/"+app, dns+`,"operation":"DELETE"}`), task("b", 3), status("b", "0")}, "b",
			[]plugins.DeploymentTask{{Result: plugins.TaskProcessing, Begun: now.UnixNano(), Before: &mp1.RuleSet{}}}},
	} {
		got := contents(t, c.kvs...)
		require.Empty(t, got.Report.Left, name)
		require.Len(t, got.Deployments, 1, name)
		last := &c.want[len(c.want)-1]
		last.ID = got.Deployments[0].Tasks[len(c.want)-1].ID
		if c.last != "" {
			require.Equal(t, c.last, last.ID)
		}
		require.Equal(t, plugins.Deployment{App: app, Tasks: c.want}, got.Deployments[0], name)
	}
	bad := contents(t, kv("appd/"+app, `{"appName":"x","appDNSRule":[{"dnsRuleId":"../x"}]}`))
	require.Empty(t, bad.Deployments)
	require.Contains(t, bad.Report.Left[0].Reason, "cannot be configured here")
}

func TestAnApplicationThatIsBeingTerminatedGoesOnBeingSo(t *testing.T) {
	for status, confirmed := range map[int]bool{1: false, 2: true} {
		c := contents(t, kv("app-confirm-termination/"+app+"/", fmt.Sprintf(`{"operationAction":"TERMINATING","TerminationStatus":%d}`, status)))
		require.Equal(t, []plugins.Application{{Info: mp1.AppInfo{AppInstanceID: app}, Unregistered: true,
			Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: now.UnixNano(), Confirmed: confirmed}}}, c.Terminations)
	}
}

func TestTheReportSaysWhatIsTakenOverAndWhatNot(t *testing.T) {
	others := []*mvccpb.KeyValue{
		{Key: []byte(Root + "ms/indexes/default/default/production/default/SERVICECENTER/0.0.1"), Value: []byte("eeb8")},
		{Key: []byte(allInstances + "default/default/eeb8/1")}, {Key: []byte(allInstances + "default/default/cccc/2")}, {Key: []byte(Root + "sys")},
		instanceKV(t, nil), kv("subscribe/\x1b[2J/x", "{}"),
	}
	c := contents(t, others...)
	c.Report.Source = "DIR"
	var out strings.Builder
	c.Report.Print(&out)
	require.Equal(t, `from DIR
  services         1: 1 ACTIVE, 0 SUSPENDED, 0 INACTIVE
  subscriptions    0 to services, 0 to terminations
  applications     0 with rules or tasks, 0 being terminated
  gateway          2 names of endpoints
  left out         1
    /cse-sr/etsi/subscribe/[2J/x: names no application and subscription
  note: 1 instances that ServiceComb's own clients registered are left out: their clients register them again
`, out.String())
}

func TestMoreThanAnEdgeGalleryCanHaveIsRefused(t *testing.T) {
	var r Reader
	big := &mvccpb.KeyValue{Key: []byte(instances), Value: make([]byte, maxKept/4)}
	var err error
	for range 5 {
		err = r.See(big)
	}
	require.ErrorContains(t, err, "it is none that its mepserver wrote")
}

func FuzzContents(f *testing.F) {
	good := instanceKV(f, nil)
	f.Add(string(good.Key), good.Value)
	for _, rest := range []string{"subscribe/a/b", "app-end-subscribe/a/b", "app-confirm-termination/a/", "appd/a", "mep/applcm/jobs/a", "mep/applcm/tasks/t", "mep/applcm/taskstatus/a/t"} {
		f.Add(Root+"etsi/"+rest, []byte(`{"callbackReference":"http://a/","appName":"n","operation":"PUT","progress":1,"filteringCriteria":{"serNames":["a"]}}`))
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var r Reader
		require.NoError(t, r.See(&mvccpb.KeyValue{Key: []byte(key), Value: value}))
		c := r.Contents(now, window)
		for _, s := range c.Services {
			require.True(t, mp1.ValidID(s.Record.Owner))
			require.Len(t, string(s.Record.ID), 32)
			require.NotZero(t, s.Record.State)
			require.LessOrEqual(t, s.Record.LastBeat, now.UnixNano())
			_, err := attributes(s.Info)
			require.NoError(t, err)
		}
		for _, s := range c.Subscriptions {
			require.True(t, mp1.ValidID(s.ID) && mp1.ValidID(s.Owner))
			require.NoError(t, mp1.CheckCallback(s.Asked.CallbackReference))
		}
		for _, d := range c.Deployments {
			require.True(t, mp1.ValidID(d.App))
		}
		for _, e := range c.Gateway {
			for name := range maps.Values(e.Names) {
				_, ok := plugins.GatewayName(name)
				require.True(t, ok)
			}
		}
		for _, l := range c.Report.Left {
			require.Equal(t, plugins.Clean(l.Key), l.Key)
		}
	})
}
