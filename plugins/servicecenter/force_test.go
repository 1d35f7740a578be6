package servicecenter

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// Whoever deletes our microservice by force while it is being registered either comes
// too early and finds none, or is refused.
func TestDeletionsByForceDuringRegistrationsDoNothing(t *testing.T) {
	for i := range 60 {
		owner := "app-force-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		k := keyOfOwner(owner)
		id := keys.ServiceIDOf(k)
		done := make(chan struct{})
		var deleting sync.WaitGroup
		deleting.Go(func() {
			for {
				r, err := http.NewRequest(http.MethodDelete, string(web)+"/v4/default/registry/microservices/"+id+"?force=true", nil)
				if err != nil {
					return
				}
				if res, err := http.DefaultClient.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		rec, at := storetest.Register(t, records, owner)
		close(done)
		deleting.Wait()
		s, err := records.Read(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, heartbeat.Projection{Revision: at, Lease: rec.Lease}, s.Projection)
		for _, key := range []string{keys.ServicePrefix + id, keys.MarkPrefix + id, path.GenerateServiceIndexKey(k), keys.InstanceOf(rec.ID, "").LeaseKey()} {
			got, err := db.Get(t.Context(), key, clientv3.WithCountOnly())
			require.NoError(t, err)
			require.EqualValues(t, 1, got.Count, key)
		}
	}
}

// bent returns v with some of it replaced by what its controller does not expect.
func bent(r *rand.Rand, v any) any {
	if r.IntN(6) == 0 {
		odd := []any{nil, map[string]any{}, []any{}, "", 0, -1, 1e9, true, strings.Repeat("a", 300), []any{map[string]any{}}, []any{nil}, "*", "1.0+", "0.0.0-1", "é", "a/b", "("}
		return odd[r.IntN(len(odd))]
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			if r.IntN(8) != 0 {
				out[name] = bent(r, member)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, one := range v {
			for range 1 + r.IntN(7)/6 {
				out = append(out, bent(r, one))
			}
		}
		return out
	}
	return v
}

// No body makes a controller of service-center, or a goroutine that it starts, panic or
// wait for ever: what would is refused before. (50,000 such calls found no more.)
func TestNoBodyBreaksAController(t *testing.T) {
	centertest.DrivesControllers(t)
	w := newWalker(t, "app-bent")
	r := rand.New(rand.NewPCG(1, 2))
	said := len(logged.String())
	n := 0
	for _, route := range routes(t) {
		bodies := append(whole[route], rows[route].bodies...)
		method, pattern, _ := strings.Cut(route, " ")
		target := strings.NewReplacer(":project", "default", ":serviceId", w.own, ":instanceId", w.inst, ":kind", "k", ":id", "i", ":schemaId", "a", ":rule_id", "r", ":key", "a").Replace(pattern)
		for _, body := range bodies {
			var v any
			require.NoError(t, json.Unmarshal([]byte(w.replace.Replace(body)), &v))
			for range 10 {
				w.client()
				b, err := json.Marshal(bent(r, v))
				require.NoError(t, err)
				require.Less(t, w.ask(call{method: method, target: target + "?type=query", body: string(b)}), 500, "%s: %s", route, b)
				n++
			}
		}
	}
	require.NotContains(t, logged.String()[said:], "panic")
	t.Logf("%d calls", n)
}

// whole are bodies with all members that service-center knows.
var whole = map[string][]string{
	"POST " + v4ms: {`{"service":{"environment":"","appId":"bent","serviceName":"bent","alias":"al","version":"1.0.0","description":"d","level":"FRONT","schemas":["a"],
		"paths":[{"path":"/","property":{"a":"b"}}],"status":"UP","properties":{"a":"b"},"framework":{"name":"x","version":"1"},"registerBy":"SDK"},
		"rules":[{"ruleId":"x","ruleType":"BLACK","attribute":"tag_a","pattern":"b","description":"d"}],"tags":{"a":"b"},"instances":[` + wholeInstance + `]}`},
	"POST " + v4inst: {`{"instance":` + wholeInstance + `}`},
	"POST " + v4reg + "instances/action": {`{"consumerServiceId":"walk-own","services":[{"service":{"tenant":"","environment":"","appId":"walk","serviceName":"own","alias":"","version":"latest"},
		"rev":"a"}],"instances":[{"instance":{"serviceId":"walk-own","instanceId":"walk-inst"},"rev":"b"}]}`},
	"PUT " + v4reg + "dependencies": {`{"dependencies":[{"consumer":{"appId":"walk","serviceName":"own","version":"1.0.0"},"providers":[{"appId":"a","serviceName":"b","version":"1.0.0+"},{"serviceName":"*"}]}]}`},
}

const wholeInstance = `{"instanceId":"i","endpoints":["rest://1.1.1.1:1"],"hostName":"h","status":"UP","properties":{"a":"b"},
	"healthCheck":{"mode":"push","port":1,"interval":1,"times":2,"url":"x"},"dataCenterInfo":{"name":"a","region":"b","availableZone":"c"},"version":"1"}`
