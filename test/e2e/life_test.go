package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A service registers, beats, dies, disappears, comes back and is deleted, and
// service-center's own API shows the same truth all the while.
func TestALifeOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("app-1", "face recognition", 1)
	require.NotEmpty(t, v.liveness)
	require.Equal(t, base+"/applications/app-1/services/"+v.id, v.location)
	require.True(t, v.discovered())

	v.beat()
	l := s.want(200, "GET", v.liveness, "").json(t)
	require.Equal(t, "ACTIVE", l["state"])
	require.EqualValues(t, 1, l["interval"])
	stamp := l["timeStamp"].(map[string]any)
	require.InDelta(t, float64(v.last.Unix()), stamp["seconds"], 2)
	require.Contains(t, stamp, "nanoSeconds")
	eventually(t, "UP in service-center", func() bool { return v.instance()["status"] == "UP" })

	eventually(t, "hidden from discovery", func() bool {
		seen := v.discovered()
		if !seen {
			require.GreaterOrEqual(t, time.Since(v.last), 2*time.Second, "hidden before its window was over")
		}
		return !seen
	})
	eventually(t, "SUSPENDED", func() bool { return v.state() == "SUSPENDED" })
	eventually(t, "OUTOFSERVICE in service-center", func() bool { return v.instance()["status"] == "OUTOFSERVICE" })
	require.Len(t, s.want(200, "GET", base+"/applications/app-1/services", "").list(t), 1, "its owner always sees it")
	require.Equal(t, "SUSPENDED", s.want(200, "GET", v.liveness, "").json(t)["state"])

	require.Equal(t, 204, v.beat().status)
	require.Equal(t, "ACTIVE", v.state(), "what was acknowledged, the next answer shows")
	require.True(t, v.discovered())
	eventually(t, "UP again", func() bool { return v.instance()["status"] == "UP" })

	s.want(204, "DELETE", v.location, "")
	s.want(404, "GET", v.location, "")
	s.want(404, "PATCH", v.liveness, alive)
	require.False(t, v.discovered())
	eventually(t, "gone from service-center, and its microservice with it", func() bool {
		return v.instance() == nil && len(microservices(s)) == 0
	})
}

// microservices are the rows of the admin console, but for service-center's own.
func microservices(s *server) []any {
	s.t.Helper()
	m := s.want(200, "GET", "/v4/default/govern/microservices?options=instances&withShared=true", "", "X-Domain-Name", "default").json(s.t)
	rows, _ := m["allServicesDetail"].([]any)
	return slices.DeleteFunc(rows, func(row any) bool {
		return row.(map[string]any)["microService"].(map[string]any)["serviceName"] == "SERVICECENTER"
	})
}

func TestTheConsoleSeesEachServiceAsTheDesignSays(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("app-1", "face recognition", 30)
	quiet := s.register("app-1", "no beats", -1)
	eventually(t, "both rows", func() bool { return len(microservices(s)) == 2 })
	i := v.instance()
	require.Equal(t, "app-1", i["hostName"])
	require.Equal(t, []any{"http://10.0.0.5:8080/x", "rest://10.0.0.5:8080?urlPrefix=%2Fx"}, i["endpoints"], "as it is, and as ServiceComb's clients call it")
	require.Equal(t, "1.2.3", i["version"])
	props := i["properties"].(map[string]any)
	require.Equal(t, "face recognition", props["mec.serName"])
	require.Equal(t, "30", props["mec.livenessInterval"])
	for _, row := range microservices(s) {
		m := row.(map[string]any)["microService"].(map[string]any)
		require.Equal(t, "app-1", m["appId"])
		require.Equal(t, "UP", m["status"])
		require.Contains(t, []any{"face_recognition", "no_beats"}, m["serviceName"])
		require.Equal(t, map[string]any{"name": "ETSI-MEC-011", "version": "3.1.1"}, m["framework"])
	}
	require.Equal(t, "UP", quiet.instance()["status"])
	require.Empty(t, quiet.liveness)
	s.want(404, "PATCH", base+"/applications/app-1/services/"+quiet.id+"/liveness", alive)
}

// Whoever could beat, change or delete our instances through service-center's own
// API would keep the dead alive.
func TestServiceCombClientsCannotWriteOurInstances(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("app-1", "a", 2)
	inst := "/v4/default/registry/microservices/" + v.id[:32] + "/instances/" + v.id[32:]
	both := `[{"serviceId":"` + v.id[:32] + `","instanceId":"` + v.id[32:] + `"}]`
	ms, root := "/v4/default/registry/microservices/"+v.id[:32], "/v4/default/registry/microservices"
	own := s.want(200, "POST", root, `{"service":{"appId":"shop","serviceName":"cart","version":"1.0.0","status":"UP","level":"BACK"}}`).json(t)["serviceId"].(string)
	key := `"appId":"app-1","serviceName":"a","version":"1.2.3"`
	again := `[{"instanceId":"` + v.id[32:] + `","hostName":"x","endpoints":["rest://1.2.3.4:5"]}]`
	attack := `{"service":{` + key + `,"level":"FRONT","status":"UP"},"instances":` + again + `}`
	for _, c := range [][3]string{
		{"PUT", inst + "/heartbeat", ""},
		{"PUT", "/v4/default/registry/heartbeats", `{"Instances":` + both + `}`},
		{"PUT", inst + "/status?value=DOWN", ""},
		{"PUT", inst + "/properties", `{"properties":{"a":"b"}}`},
		{"POST", "/v4/default/registry/microservices/" + v.id[:32] + "/instances", `{"instance":{"hostName":"x","endpoints":["rest://1.2.3.4:5"]}}`},
		{"DELETE", inst, ""},
		{"DELETE", "/v4/default/registry/microservices/" + v.id[:32] + "?force=true", ""},
		{"DELETE", "/v4/default/registry/microservices", `{"serviceIds":["` + v.id[:32] + `"],"force":true}`},
		{"POST", root, attack},
		{"POST", root, `{"service":{` + key + `}}`},
		{"POST", root, `{"SERVICE":{"appId":"x"},"service":{"APPID":"app-1","serviceName":"y","ServiceName":"a","VERSION":"1.2.3"}}`},
		{"POST", root, `{"service":{"serviceName":"other"},"instances":` + again + `}`},
		{"POST", root, `{"service":{"serviceName":"other"},"instances":` + again + `,"Instances":[{}]}`},
		{"POST", root, `{"service":{"serviceName":"other","serviceId":"` + v.id[:32] + `"}}`},
		{"POST", "/v4/other/registry/microservices", `{"service":{"serviceName":"other"},"instances":` + again + `}`},
		{"PUT", "/v4/default/registry/heartbeats", `{"instances":` + both + `,"INSTANCES":[{}]}`},
		{"PUT", root + "/" + own + "/properties", `{"serviceId":"` + v.id[:32] + `","properties":{"a":"b"}}`},
		{"PUT", root + "/" + own + "/instances/x/properties", `{"serviceId":"` + v.id[:32] + `","instanceId":"` + v.id[32:] + `","properties":{"a":"b"}}`},
		{"POST", root + "/" + own + "/instances", `{"instance":{"instanceId":"` + v.id[32:] + `","hostName":"x","endpoints":["rest://1.2.3.4:5"]}}`},
		{"PUT", ms + "/properties", `{"properties":{"a":"b"}}`},
		{"POST", ms + "/rules", `{"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":".*"}]}`},
		{"PUT", ms + "/rules/x", `{"ruleType":"BLACK","attribute":"ServiceName","pattern":".*"}`},
		{"DELETE", ms + "/rules/x", ""},
		{"POST", ms + "/tags", `{"tags":{"a":"b"}}`},
		{"PUT", ms + "/tags/a?value=b", ""},
		{"DELETE", ms + "/tags/a", ""},
		{"POST", ms + "/schemas", `{"schemas":[{"schemaId":"a","summary":"b","schema":"c"}]}`},
		{"PUT", ms + "/schemas/a", `{"schema":"c","summary":"b"}`},
		{"DELETE", ms + "/schemas/a", ""},
		{"POST", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{` + key + `},"providers":[{"serviceName":"*"}]}]}`},
		{"PUT", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{` + key + `},"providers":[]}]}`},
	} {
		r := s.do(c[0], c[1], c[2])
		require.Equal(t, 403, r.status, "%s %s: %s", c[0], c[1], r.body)
	}
	require.Equal(t, "UP", v.instance()["status"])
	eventually(t, "suspended in spite of foreign heartbeats", func() bool {
		s.do("PUT", inst+"/heartbeat", "")
		s.do("POST", root, attack)
		return v.state() == "SUSPENDED"
	})
}

// A client can give the id that a service of ours would have to one of its own, with a
// rule and an instance: ours gets another then, and nothing of the client's is ours.
func TestWhatIsTakenInAdvanceIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("app-1", "a", 30)
	s.want(204, "DELETE", v.location, "")
	root := "/v4/default/registry/microservices"
	eventually(t, "its microservice is gone", func() bool { return len(microservices(s)) == 0 })
	s.want(200, "POST", root, `{"service":{"serviceName":"mine","version":"1.0.0","alias":"nick","serviceId":"`+v.id[:32]+`"},
		"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":".*"}],"instances":[{"hostName":"h","endpoints":["rest://127.0.0.1:1"]}]}`)
	w := s.register("app-1", "a", 30)
	require.NotEqual(t, v.id[:32], w.id[:32])
	require.True(t, w.discovered())
	consumer := s.want(200, "POST", root, `{"service":{"appId":"app-1","serviceName":"consumer","version":"1.0.0"}}`).json(t)["serviceId"].(string)
	found := s.want(200, "GET", "/v4/default/registry/instances?appId=app-1&serviceName=a-mec&version=latest", "", "X-ConsumerId", consumer)
	require.Len(t, found.json(t)["instances"], 1, "%s", found.body)
	require.Contains(t, string(found.body), w.id[32:])
	s.want(403, "DELETE", root+"/"+w.id[:32]+"?force=true", "")
	s.want(200, "DELETE", root+"/"+v.id[:32]+"?force=true", "")
	require.True(t, w.discovered())
}

// A ServiceComb client's own services are none of our business.
func TestServiceCombClientsKeepTheirOwnServices(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	r := s.want(200, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"shop","serviceName":"cart","version":"1.0.0","status":"UP","level":"BACK"}}`)
	id := r.json(t)["serviceId"].(string)
	r = s.want(200, "POST", "/v4/default/registry/microservices/"+id+"/instances",
		`{"instance":{"hostName":"h","endpoints":["rest://127.0.0.1:1"],"status":"UP","healthCheck":{"mode":"push","interval":30,"times":3}}}`)
	inst := r.json(t)["instanceId"].(string)
	s.want(200, "PUT", "/v4/default/registry/microservices/"+id+"/instances/"+inst+"/heartbeat", "")
	require.Empty(t, s.want(200, "GET", base+"/services", "").list(t))
	mec := s.register("app-1", "a", -1)
	s.want(200, "POST", "/v4/other/registry/microservices", `{"service":{"appId":"app-1","serviceName":"a","version":"1.2.3"},"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":"x"}]}`)
	s.want(200, "PUT", "/v4/default/registry/microservices/"+id+"/properties", `{"properties":{"a":"b"}}`)
	s.want(200, "PUT", "/v4/default/registry/microservices/"+id+"/instances/"+inst+"/properties", `{"properties":{"a":"b"}}`)
	s.want(200, "POST", "/v4/default/registry/microservices/"+id+"/tags", `{"tags":{"a":"b"}}`)
	s.want(200, "PUT", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{"appId":"shop","serviceName":"cart","version":"1.0.0"},"providers":[{"appId":"app-1","serviceName":"a","version":"1.2.3"}]}]}`)
	require.Equal(t, "UP", mec.instance()["status"])
	// a consumer of ours is noted at ours, by service-center's queue of dependencies
	consumer := s.want(200, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"app-1","serviceName":"consumer","version":"1.0.0"}}`).json(t)["serviceId"].(string)
	found := s.want(200, "GET", "/v4/default/registry/instances?appId=app-1&serviceName=a&version=1.2.3", "", "X-ConsumerId", consumer)
	require.Contains(t, string(found.body), mec.id[32:])
	eventually(t, "the consumer is noted", func() bool {
		return strings.Contains(string(s.do("GET", "/v4/default/registry/microservices/"+mec.id[:32]+"/consumers", "").body), consumer)
	})
	s.want(200, "DELETE", "/v4/default/registry/microservices/"+id+"?force=true", "")
	for _, reason := range []string{"ours", "form"} {
		require.Contains(t, string(s.do("GET", "/metrics", "").body), `mep_servicecomb_writes_refused_total{reason="`+reason+`"} 0`, "nothing of all that was refused")
	}
}
