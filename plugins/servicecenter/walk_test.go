package servicecenter

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/server/core"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// routes are all that service-center's router has.
func routes(t *testing.T) (out []string) {
	t.Helper()
	all := reflect.ValueOf(rest.GetRouter()).Elem().FieldByName("handlers")
	for _, method := range all.MapKeys() {
		for i := range all.MapIndex(method).Len() {
			out = append(out, method.String()+" "+all.MapIndex(method).Index(i).Elem().FieldByName("Path").String())
		}
	}
	require.Greater(t, len(out), 30)
	slices.Sort(out)
	return out
}

// A route that another version of service-center adds needs a row before anybody
// can say that it harms nothing.
func TestEveryRouteHasARow(t *testing.T) {
	known := routes(t)
	for _, route := range known {
		_, ok := rows[route]
		require.True(t, ok, "%s: how can it be asked to write to what is ours?", route)
		_, p, _ := strings.Cut(route, " ")
		require.True(t, center.IsServiceComb(p), "%s does not pass the door", route)
	}
	for route := range rows {
		require.Contains(t, known, route, "no such route")
	}
}

// walker is a world with something of ours and something of a ServiceComb client.
type walker struct {
	t         *testing.T
	at        keys.Instance // where ours stands
	key       discovery.MicroServiceKey
	lease     clientv3.LeaseID
	own, inst string
	before    map[string]string
	seenAt    int64 // the revision of the last picture
	calls     int
	sample    int  // only so many ways of a route
	marksOnly bool // nobody knows our instances by heart
	replace   *strings.Replacer
}

func newWalker(t *testing.T, app string) *walker {
	t.Helper()
	ours, _ := storetest.Register(t, records, app)
	w := &walker{t: t, at: keys.InstanceOf(ours.ID, ""), key: *keyOfOwner(app), lease: clientv3.LeaseID(ours.Lease)}
	w.look()
	return w
}

// newSelfWalker is one whose something of ours is this replica's registration as
// service-running.
func newSelfWalker(t *testing.T) *walker {
	t.Helper()
	_, at := registered(t)
	instance, leaseKey := at.Key(), at.LeaseKey()
	l, err := records.Grant(t.Context(), fresh+1) // a walk may take longer than its own
	require.NoError(t, err)
	on := clientv3.WithLease(clientv3.LeaseID(l))
	for key, value := range map[string]string{instance: storetest.Value(t, db, instance), leaseKey: strconv.FormatInt(int64(l), 10)} {
		_, err = db.Put(t.Context(), key, value, on)
		require.NoError(t, err)
	}
	t.Cleanup(func() { _ = records.Revoke(t.Context(), l) })
	w := &walker{t: t, at: at, key: discovery.MicroServiceKey{Tenant: keys.Tenant, AppId: core.RegistryAppID, ServiceName: core.RegistryServiceName, Version: core.Service.Version}, lease: clientv3.LeaseID(l)}
	w.look()
	return w
}

func (w *walker) look() {
	w.own, w.inst = "walk-own", "walk-inst"
	w.replace = strings.NewReplacer("$sid", w.at.ServiceID, "$iid", w.at.InstanceID, "$own", w.own, "$inst", w.inst,
		"$app", w.key.AppId, "$name", w.key.ServiceName, "$version", w.key.Version)
}

// fresh is what is left of a lease of storetest.Register that was renewed just now, in whole seconds.
const fresh = storetest.LongLease - 1

// age waits until a renewal of our lease can be seen.
func (w *walker) age() {
	require.Eventually(w.t, func() bool { return w.ttl() < fresh }, time.Minute, 10*time.Millisecond)
}

func (w *walker) ttl() int64 {
	w.t.Helper()
	res, err := db.TimeToLive(w.t.Context(), w.lease)
	require.NoError(w.t, err)
	return res.TTL
}

// picture is everything that is ours or about ours, with the revisions.
func (w *walker) picture() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	at, name, app := w.at, strings.TrimPrefix(path.GenerateServiceIndexKey(&w.key), keys.IndexPrefix), w.key.AppId
	if at.ServiceID == center.SelfServiceID {
		app = "/" + app + "/" + w.key.ServiceName // its appId alone is everywhere
	}
	got, err := db.Get(w.t.Context(), "/", clientv3.WithRange("0"))
	require.NoError(w.t, err)
	w.seenAt = got.Header.Revision
	for _, kv := range got.Kvs {
		key, value := string(kv.Key), string(kv.Value)
		if strings.Contains(key, w.own) || strings.Contains(key, "//walk/own/") || strings.Contains(key, "/Default/") {
			continue // the client's own, and another tenant
		}
		if strings.HasPrefix(key, keys.ProviderPrefix) && !strings.Contains(value, app) {
			continue // who depends on a service of ours says so himself: that is how he hears of it
		}
		if strings.Contains(key, at.ServiceID) || strings.Contains(key, at.InstanceID) || strings.Contains(key, name) || strings.Contains(key, app) ||
			strings.Contains(value, at.ServiceID) || strings.Contains(value, at.InstanceID) || strings.Contains(value, app) {
			out[key] = fmt.Sprintf("%d %d %s", kv.ModRevision, kv.Lease, value)
		}
	}
	return out
}

// changed says what is not as it was.
func (w *walker) changed() (out []string) {
	w.t.Helper()
	var now map[string]string
	if head, err := db.Get(w.t.Context(), "/", clientv3.WithCountOnly()); err == nil && head.Header.Revision == w.seenAt {
		now = w.before // nothing was written at all
	} else {
		now = w.picture()
	}
	for key, value := range w.before {
		if now[key] != value {
			out = append(out, fmt.Sprintf("%s: %.200s -> %.200s", key, value, now[key]))
		}
	}
	for key, value := range now {
		if _, known := w.before[key]; !known && !w.harmless(key) {
			out = append(out, fmt.Sprintf("%s: new: %.200s", key, value))
		}
	}
	if w.ttl() >= fresh {
		out = append(out, "the lease was renewed")
	}
	return out
}

// harmless are new keys that are about ours without harm.
func (w *walker) harmless(key string) bool {
	// another's instance that is called like ours
	return w.marksOnly && strings.HasPrefix(key, "/cse-sr/inst/") && !strings.Contains(key, w.at.ServiceID)
}

// client is a ServiceComb client's service and instance, which calls may delete.
func (w *walker) client() {
	w.t.Helper()
	const root = "/v4/default/registry/microservices"
	status, _, answer := web.Send(w.t, "POST", root, `{"service":{"appId":"walk","serviceName":"own","version":"1.0.0","serviceId":"`+w.own+`"}}`)
	require.Equal(w.t, 200, status, answer)
	status, _, answer = web.Send(w.t, "POST", root+"/"+w.own+"/instances", `{"instance":{"instanceId":"`+w.inst+`",`+centertest.Instance+`}}`)
	require.Equal(w.t, 200, status, answer)
}

// call is one way of asking.
type call struct{ route, method, target, body, domain, consumer string }

// calls are all ways of a row: every parameter of the path names ours, another's or
// something in between, every body is sent, and project and domain are spelled in every
// way.
func (w *walker) ways(route string, r *row) (out []call) {
	method, pattern, _ := strings.Cut(route, " ")
	targets := []string{""}
	for segment := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		var next []string
		for _, value := range w.values(segment) {
			for _, t := range targets {
				next = append(next, t+"/"+value)
			}
		}
		targets = next
	}
	bodies := r.bodies
	if len(bodies) == 0 {
		bodies = []string{""}
	}
	for i, target := range targets {
		for j, body := range bodies {
			c := call{route: route, method: method, target: target, body: w.replace.Replace(body)}
			if r.query != "" {
				c.target += "?" + w.replace.Replace(r.query)
			}
			out = append(out, c)
			if i == 0 && j == 0 || strings.Contains(body, "$") && i == 0 {
				for _, domain := range []string{"default", "Default", "default/default", "%64efault", "..", "default\x7f"} {
					c.domain = domain
					out = append(out, c)
				}
				c.domain = ""
				for _, consumer := range []string{"$sid", "$own", "$sid/x"} {
					c.consumer = w.replace.Replace(consumer)
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// values of a segment of a pattern; the first is the plainest way to name ours.
func (w *walker) values(segment string) []string {
	at := w.at
	switch segment {
	case ":project":
		return []string{"default", "%64efault", "Default", "default%2Fdefault"}
	case ":serviceId", ":consumerId", ":providerId":
		return []string{at.ServiceID, w.own, strings.ToUpper(at.ServiceID), "%" + fmt.Sprintf("%02x", at.ServiceID[0]) + at.ServiceID[1:], at.ServiceID + "%2F" + at.InstanceID,
			"x%2F..%2F" + at.ServiceID, at.ServiceID + "%00"}
	case ":instanceId":
		return []string{at.InstanceID, w.inst, "..%2F" + at.ServiceID + "%2F" + at.InstanceID, at.InstanceID + "%2F"}
	case ":rule_id", ":schemaId", ":key", ":id":
		return []string{"a", "..%2F" + at.ServiceID + "%2Fa"}
	case ":kind":
		return []string{"rate-limiting"}
	}
	return []string{segment}
}

func (w *walker) ask(c call) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.method, string(web)+c.target, strings.NewReader(c.body))
	require.NoError(w.t, err, "%+v", c)
	if strings.HasSuffix(c.target, "watcher") {
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			r.Header.Set(name, value)
		}
	}
	if c.domain != "" {
		r.Header.Set("X-Domain-Name", c.domain)
	}
	if c.consumer != "" {
		r.Header.Set("X-ConsumerId", c.consumer)
	}
	if strings.ContainsAny(c.domain, "\x7f") { // the client would not send it
		return 400
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err, "%+v", c)
	if res.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, res.Body)
	}
	require.NoError(w.t, res.Body.Close())
	w.calls++
	return res.StatusCode
}

// walk asks every route in every way and calls found with what that changed.
func (w *walker) walk(found func(c call, status int, changed []string)) {
	w.t.Helper()
	w.age()
	all := routes(w.t)
	slices.Reverse(all) // what deletes comes last
	for _, route := range all {
		r := rows[route]
		if r.none != "" {
			continue
		}
		w.client()
		w.before = w.picture()
		ways := w.ways(route, &r)
		if w.sample > 0 {
			ways = ways[:min(w.sample, len(ways))]
		}
		for _, c := range ways {
			status := w.ask(c)
			if changed := w.changed(); len(changed) > 0 {
				found(c, status, changed)
				w.before = w.picture()
			}
			require.Less(w.t, status, 500, "%+v", c)
		}
	}
	w.before = nil
}

// Nor what service-center is by its own registration.
func TestNoRouteWritesToServiceCentersOwnRegistration(t *testing.T) {
	centertest.DrivesControllers(t)
	w := newSelfWalker(t)
	w.walk(func(c call, status int, changed []string) {
		t.Errorf("%+v answered %d and changed\n\t%s", c, status, strings.Join(changed, "\n\t"))
	})
	t.Logf("%d calls of %d routes", w.calls, len(rows))
}

// Nothing that can be asked of service-center changes what is ours, whether this
// replica has seen what that is or not: then the marks in the store suffice.
func TestNoRouteWritesToWhatIsOurs(t *testing.T) {
	centertest.DrivesControllers(t)
	both := map[bool]*walker{true: newWalker(t, "app-walk-seen"), false: newWalker(t, "app-walk-unseen")}
	for seen, w := range both {
		w.marksOnly = !seen
		if seen {
			records.Changed(w.at.ID(), &heartbeat.Snapshot{At: 1, Record: heartbeat.Record{ID: w.at.ID(), Lease: heartbeat.LeaseID(w.lease)}})
			running.Protect(records)
		}
		start := w.picture()
		w.walk(func(c call, status int, changed []string) {
			t.Errorf("seen %v: %+v answered %d and changed\n\t%s", seen, c, status, strings.Join(changed, "\n\t"))
		})
		w.before = start
		require.Eventually(t, func() bool { // what service-center does later, with its queue of dependencies
			got, err := db.Get(t.Context(), "/cse-sr/ms/dep-queue/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			return err == nil && got.Count == 0
		}, time.Minute, 20*time.Millisecond)
		require.Empty(t, w.changed())
		running.Protect(nil)
		t.Logf("%d calls of %d routes", w.calls, len(rows))
	}
}

// The walk finds what a guard that knows nothing lets through.
func TestTheWalkFindsWhatIsNotGuarded(t *testing.T) {
	centertest.DrivesControllers(t)
	w := newWalker(t, "app-open")
	_, err := db.Delete(t.Context(), keys.MarkPrefix+w.at.ServiceID)
	require.NoError(t, err)
	w.sample = 5
	whole := w.picture()
	found := map[string]bool{}
	w.walk(func(c call, _ int, _ []string) {
		found[c.route] = true
		if w.ttl() < 0 {
			_, err := db.Server().LeaseGrant(t.Context(), &etcdserverpb.LeaseGrantRequest{ID: int64(w.lease), TTL: fresh - 1})
			require.NoError(t, err)
		}
		for key, value := range whole { // as it was, for the next
			parts := strings.SplitN(value, " ", 3)
			lease, err := strconv.ParseInt(parts[1], 10, 64)
			require.NoError(t, err)
			_, err = db.Put(t.Context(), key, parts[2], clientv3.WithLease(clientv3.LeaseID(lease)))
			require.NoError(t, err)
		}
	})
	require.GreaterOrEqual(t, len(found), 16, "%v", found)
	require.True(t, found["PUT "+v4oneInst+"/heartbeat"], "a renewal of our lease is found, too")
}
