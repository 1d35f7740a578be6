package servicecenter

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// What schema 1 means, byte for byte. Replicas of two releases share a store, and a store
// outlives its release: whoever has to change a line here has made another schema.
func TestTheSchemaIsWhatItWas(t *testing.T) {
	require.Equal(t, 1, schemaVersion)
	require.Equal(t, []heartbeat.State{1, 2, 3}, []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive})
	require.Equal(t, []heartbeat.Change{1, 2, 3, 4}, []heartbeat.Change{heartbeat.Added, heartbeat.StateChanged, heartbeat.AttributesChanged, heartbeat.Removed})
	id := heartbeat.ID("0123456789abcdef0123456789abcdef01234567.0123456789abcdef0123456789abcdef")
	record := heartbeat.Record{Schema: 1, ID: id, Owner: "app", Attributes: "{}", Place: "p", State: heartbeat.Suspended, Seq: 3, Proposed: -1,
		Interval: 5, Previous: 4, Window: 10, Lease: 7, RegisteredAt: 1, ChangedAt: 2, SuspendedAt: 3, LastBeat: 4}
	asked := mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://a/"}
	app := mp1.AppInfo{AppName: "n", AppInstanceID: "app"}
	for _, c := range []struct {
		key    string
		value  any
		golden string
		read   func(*mvccpb.KeyValue) (any, bool)
		want   any
	}{
		{recordKey(id), &record, `{"Schema":1,"ID":"` + string(id) + `","Owner":"app","Attributes":"{}","Place":"p","State":2,"Seq":3,"Proposed":-1,"Interval":5,"Previous":4,"Window":10,"Lease":7,"RegisteredAt":1,"ChangedAt":2,"SuspendedAt":3,"LastBeat":4}`,
			func(kv *mvccpb.KeyValue) (any, bool) { r, err := decodeRecord(kv); return r, err == nil }, record},
		{"/mep/sub/s", subscription{Schema: 1, Owner: "app", Prefix: "/x", Since: 5, Asked: asked}, `{"schema":1,"owner":"app","prefix":"/x","since":5,"asked":{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://a/"}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeSubscription(kv) }, &plugins.Subscription{ID: "s", Owner: "app", Prefix: "/x", Since: 5, Asked: asked}},
		{"/mep/cur/s", cursor{Schema: 1, After: 9, Group: []heartbeat.Revision{10, 12}, Gone: true}, `{"schema":1,"after":9,"group":[10,12],"gone":true}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeCursor(kv) }, plugins.Cursor{After: 9, Group: []heartbeat.Revision{10, 12}, Gone: true}},
		{eventKey(id, 3), event{Schema: 1, ID: id, Seq: 3, Owner: "app", Change: heartbeat.Removed, State: heartbeat.Inactive, At: 8, Attributes: "{}"}, `{"schema":1,"id":"` + string(id) + `","seq":3,"owner":"app","change":4,"state":3,"at":8,"attributes":"{}"}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeEvent(kv) }, &plugins.Event{ID: id, Owner: "app", Change: heartbeat.Removed, State: heartbeat.Inactive, Made: 8, Attributes: "{}"}},
		{"/mep/app/app", application{Schema: 1, Info: app, Leaving: true}, `{"schema":1,"info":{"appName":"n","appInstanceId":"app"},"leaving":true}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeApplication(kv) }, plugins.Application{Info: app, Leaving: true}},
	} {
		value, err := json.Marshal(c.value)
		require.NoError(t, err)
		require.Equal(t, c.golden, string(value))
		got, ok := c.read(&mvccpb.KeyValue{Key: []byte(c.key), Value: []byte(c.golden)})
		require.True(t, ok, c.key)
		require.Equal(t, c.want, got)
	}
}
