package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// A service registers, beats, dies, disappears, comes back and is deleted, and
// service-center's own API shows the same truth all the while.
func TestALifeOverHTTP(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "face recognition", 1)
	require.NotEmpty(t, v.Liveness)
	require.Equal(t, mep.ServicesOf("app-1")+"/"+v.ID, v.Location)
	require.True(t, v.Discovered())

	v.Beat()
	l := s.Want(200, "GET", v.Liveness, "").Object(t)
	require.Equal(t, "ACTIVE", l["state"])
	require.EqualValues(t, 1, l["interval"])
	stamp := l["timeStamp"].(map[string]any)
	require.InDelta(t, float64(v.Last.Unix()), stamp["seconds"], 2)
	require.Contains(t, stamp, "nanoSeconds")
	wait.Until(t, "UP in service-center", func() bool { return instance(v)["status"] == "UP" })

	wait.Until(t, "hidden from discovery", func() bool {
		seen := v.Discovered()
		if !seen {
			require.GreaterOrEqual(t, time.Since(v.Last), 2*time.Second, "hidden before its window was over")
		}
		return !seen
	})
	wait.Until(t, "SUSPENDED", func() bool { return v.State() == "SUSPENDED" })
	wait.Until(t, "OUTOFSERVICE in service-center", func() bool { return instance(v)["status"] == "OUTOFSERVICE" })
	require.Len(t, s.Want(200, "GET", mep.ServicesOf("app-1"), "").List(t), 1, "its owner always sees it")
	require.Equal(t, "SUSPENDED", s.Want(200, "GET", v.Liveness, "").Object(t)["state"])

	require.Equal(t, 204, v.Beat().Status)
	require.Equal(t, "ACTIVE", v.State(), "what was acknowledged, the next answer shows")
	require.True(t, v.Discovered())
	wait.Until(t, "UP again", func() bool { return instance(v)["status"] == "UP" })

	s.Want(204, "DELETE", v.Location, "")
	s.Want(404, "GET", v.Location, "")
	s.Want(404, "PATCH", v.Liveness, mep.Alive)
	require.False(t, v.Discovered())
	wait.Until(t, "gone from service-center, and its microservice with it", func() bool {
		return instance(v) == nil && len(microservices(s)) == 0
	})
}

// microservices are the rows of the admin console, but for service-center's own.
func microservices(s *mep.Server) []any {
	s.T().Helper()
	m := s.Want(200, "GET", "/v4/default/govern/microservices?options=instances&withShared=true", "", "X-Domain-Name", "default").Object(s.T())
	rows, _ := m["allServicesDetail"].([]any)
	return slices.DeleteFunc(rows, func(row any) bool {
		return row.(map[string]any)["microService"].(map[string]any)["serviceName"] == "SERVICECENTER"
	})
}

func TestTheConsoleSeesEachServiceAsTheDesignSays(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "face recognition", 30)
	quiet := s.Register("app-1", "no beats", -1)
	wait.Until(t, "both rows", func() bool { return len(microservices(s)) == 2 })
	i := instance(v)
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
	require.Equal(t, "UP", instance(quiet)["status"])
	require.Empty(t, quiet.Liveness)
	s.Want(404, "PATCH", mep.LivenessOf("app-1", quiet.ID), mep.Alive)
}

// Whoever could beat, change or delete our instances through service-center's own
// API would keep the dead alive.
func TestServiceCombClientsCannotWriteOurInstances(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "a", 2)
	inst := "/v4/default/registry/microservices/" + v.ID[:32] + "/instances/" + v.ID[32:]
	both := `[{"serviceId":"` + v.ID[:32] + `","instanceId":"` + v.ID[32:] + `"}]`
	ms, root := "/v4/default/registry/microservices/"+v.ID[:32], "/v4/default/registry/microservices"
	own := s.Want(200, "POST", root, `{"service":{"appId":"shop","serviceName":"cart","version":"1.0.0","status":"UP","level":"BACK"}}`).Object(t)["serviceId"].(string)
	key := `"appId":"app-1","serviceName":"a","version":"1.2.3"`
	again := `[{"instanceId":"` + v.ID[32:] + `","hostName":"x","endpoints":["rest://1.2.3.4:5"]}]`
	attack := `{"service":{` + key + `,"level":"FRONT","status":"UP"},"instances":` + again + `}`
	for _, c := range [][3]string{
		{"PUT", inst + "/heartbeat", ""},
		{"PUT", "/v4/default/registry/heartbeats", `{"Instances":` + both + `}`},
		{"PUT", inst + "/status?value=DOWN", ""},
		{"PUT", inst + "/properties", `{"properties":{"a":"b"}}`},
		{"POST", "/v4/default/registry/microservices/" + v.ID[:32] + "/instances", `{"instance":{"hostName":"x","endpoints":["rest://1.2.3.4:5"]}}`},
		{"DELETE", inst, ""},
		{"DELETE", "/v4/default/registry/microservices/" + v.ID[:32] + "?force=true", ""},
		{"DELETE", "/v4/default/registry/microservices", `{"serviceIds":["` + v.ID[:32] + `"],"force":true}`},
		{"POST", root, attack},
		{"POST", root, `{"service":{` + key + `}}`},
		{"POST", root, `{"SERVICE":{"appId":"x"},"service":{"APPID":"app-1","serviceName":"y","ServiceName":"a","VERSION":"1.2.3"}}`},
		{"POST", root, `{"service":{"serviceName":"other"},"instances":` + again + `}`},
		{"POST", root, `{"service":{"serviceName":"other"},"instances":` + again + `,"Instances":[{}]}`},
		{"POST", root, `{"service":{"serviceName":"other","serviceId":"` + v.ID[:32] + `"}}`},
		{"POST", "/v4/other/registry/microservices", `{"service":{"serviceName":"other"},"instances":` + again + `}`},
		{"PUT", "/v4/default/registry/heartbeats", `{"instances":` + both + `,"INSTANCES":[{}]}`},
		{"PUT", root + "/" + own + "/properties", `{"serviceId":"` + v.ID[:32] + `","properties":{"a":"b"}}`},
		{"PUT", root + "/" + own + "/instances/x/properties", `{"serviceId":"` + v.ID[:32] + `","instanceId":"` + v.ID[32:] + `","properties":{"a":"b"}}`},
		{"POST", root + "/" + own + "/instances", `{"instance":{"instanceId":"` + v.ID[32:] + `","hostName":"x","endpoints":["rest://1.2.3.4:5"]}}`},
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
		r := s.Do(c[0], c[1], c[2])
		require.Equal(t, 403, r.Status, "%s %s: %s", c[0], c[1], r.Body)
	}
	require.Equal(t, "UP", instance(v)["status"])
	wait.Until(t, "suspended in spite of foreign heartbeats", func() bool {
		s.Do("PUT", inst+"/heartbeat", "")
		s.Do("POST", root, attack)
		return v.State() == "SUSPENDED"
	})
}

// A client can give the id that a service of ours would have to one of its own, with a
// rule and an instance: ours gets another then, and nothing of the client's is ours.
func TestWhatIsTakenInAdvanceIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "a", 30)
	s.Want(204, "DELETE", v.Location, "")
	root := "/v4/default/registry/microservices"
	wait.Until(t, "its microservice is gone", func() bool { return len(microservices(s)) == 0 })
	s.Want(200, "POST", root, `{"service":{"serviceName":"mine","version":"1.0.0","alias":"nick","serviceId":"`+v.ID[:32]+`"},
		"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":".*"}],"instances":[{"hostName":"h","endpoints":["rest://127.0.0.1:1"]}]}`)
	w := s.Register("app-1", "a", 30)
	require.NotEqual(t, v.ID[:32], w.ID[:32])
	require.True(t, w.Discovered())
	consumer := s.Want(200, "POST", root, `{"service":{"appId":"app-1","serviceName":"consumer","version":"1.0.0"}}`).Object(t)["serviceId"].(string)
	found := s.Want(200, "GET", "/v4/default/registry/instances?appId=app-1&serviceName=a-mec&version=latest", "", "X-ConsumerId", consumer)
	require.Len(t, found.Object(t)["instances"], 1, "%s", found.Body)
	require.Contains(t, string(found.Body), w.ID[32:])
	s.Want(403, "DELETE", root+"/"+w.ID[:32]+"?force=true", "")
	s.Want(200, "DELETE", root+"/"+v.ID[:32]+"?force=true", "")
	require.True(t, w.Discovered())
}

// A ServiceComb client's own services are none of our business.
func TestServiceCombClientsKeepTheirOwnServices(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	r := s.Want(200, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"shop","serviceName":"cart","version":"1.0.0","status":"UP","level":"BACK"}}`)
	id := r.Object(t)["serviceId"].(string)
	r = s.Want(200, "POST", "/v4/default/registry/microservices/"+id+"/instances",
		`{"instance":{"hostName":"h","endpoints":["rest://127.0.0.1:1"],"status":"UP","healthCheck":{"mode":"push","interval":30,"times":3}}}`)
	inst := r.Object(t)["instanceId"].(string)
	s.Want(200, "PUT", "/v4/default/registry/microservices/"+id+"/instances/"+inst+"/heartbeat", "")
	require.Empty(t, s.Want(200, "GET", mep.Base+"/services", "").List(t))
	mec := s.Register("app-1", "a", -1)
	s.Want(200, "POST", "/v4/other/registry/microservices", `{"service":{"appId":"app-1","serviceName":"a","version":"1.2.3"},"rules":[{"ruleType":"BLACK","attribute":"ServiceName","pattern":"x"}]}`)
	s.Want(200, "PUT", "/v4/default/registry/microservices/"+id+"/properties", `{"properties":{"a":"b"}}`)
	s.Want(200, "PUT", "/v4/default/registry/microservices/"+id+"/instances/"+inst+"/properties", `{"properties":{"a":"b"}}`)
	s.Want(200, "POST", "/v4/default/registry/microservices/"+id+"/tags", `{"tags":{"a":"b"}}`)
	s.Want(200, "PUT", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{"appId":"shop","serviceName":"cart","version":"1.0.0"},"providers":[{"appId":"app-1","serviceName":"a","version":"1.2.3"}]}]}`)
	require.Equal(t, "UP", instance(mec)["status"])
	// a consumer of ours is noted at ours, by service-center's queue of dependencies
	consumer := s.Want(200, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"app-1","serviceName":"consumer","version":"1.0.0"}}`).Object(t)["serviceId"].(string)
	found := s.Want(200, "GET", "/v4/default/registry/instances?appId=app-1&serviceName=a&version=1.2.3", "", "X-ConsumerId", consumer)
	require.Contains(t, string(found.Body), mec.ID[32:])
	wait.Until(t, "the consumer is noted", func() bool {
		return strings.Contains(string(s.Do("GET", "/v4/default/registry/microservices/"+mec.ID[:32]+"/consumers", "").Body), consumer)
	})
	s.Want(200, "DELETE", "/v4/default/registry/microservices/"+id+"?force=true", "")
	for _, reason := range []string{"ours", "form"} {
		require.Contains(t, string(s.Do("GET", "/metrics", "").Body), `mep_servicecomb_writes_refused_total{reason="`+reason+`"} 0`, "nothing of all that was refused")
	}
}
