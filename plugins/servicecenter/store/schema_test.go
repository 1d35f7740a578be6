package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// What schema 1 means, byte for byte. Replicas of two releases share a store, and a store
// outlives its release: whoever has to change a line here has made another schema.
func TestTheSchemaIsWhatItWas(t *testing.T) {
	require.Equal(t, 1, heartbeat.Schema)
	require.Equal(t, []heartbeat.State{1, 2, 3}, []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive})
	require.Equal(t, []heartbeat.Change{1, 2, 3, 4, 5}, []heartbeat.Change{heartbeat.Added, heartbeat.StateChanged, heartbeat.AttributesChanged, heartbeat.Removed, heartbeat.CauseChanged})
	id := heartbeat.ID("0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210")
	record := heartbeat.Record{Schema: 1, ID: id, Owner: "app", Attributes: "{}", Place: "p", State: heartbeat.Suspended, Seq: 3, Proposed: -1,
		Interval: 5, Previous: 4, Window: 10, Lease: 7, RegisteredAt: 1, ChangedAt: 2, SuspendedAt: 3, LastBeat: 4, Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "mep-0"}, CausedAt: 3}
	imported := heartbeat.Record{Schema: 2, ID: id[:32], Owner: "app", Attributes: "{}", Place: "p", State: heartbeat.Active, Seq: 1, Proposed: 60,
		Interval: 60, Window: 120, Lease: 7, RegisteredAt: 1, ChangedAt: 2, LastBeat: 4}
	asked := mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://a/"}
	app := mp1.AppInfo{AppName: "n", AppInstanceID: "app"}
	for _, c := range []struct {
		key    string
		value  any
		golden string
		read   func(*mvccpb.KeyValue) (any, bool)
		want   any
	}{
		{"/mep/rec/" + string(id), recordValue{storedRecord: storedRecord(record), Cause: recordCause{State: heartbeat.Suspended, Kind: "silence", By: "mep-0", At: 3}}, `{"Schema":1,"ID":"` + string(id) + `","Owner":"app","Attributes":"{}","Place":"p","State":2,"Seq":3,"Proposed":-1,"Interval":5,"Previous":4,"Window":10,"Lease":7,"RegisteredAt":1,"ChangedAt":2,"SuspendedAt":3,"LastBeat":4,"Cause":{"State":2,"Kind":"silence","By":"mep-0","At":3}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { r, err := decodeRecord(kv); return r, err == nil }, record},
		{"/mep/rec/" + string(imported.ID), recordValue{storedRecord: storedRecord(imported)}, `{"Schema":2,"ID":"` + string(imported.ID) + `","Owner":"app","Attributes":"{}","Place":"p","State":1,"Seq":1,"Proposed":60,"Interval":60,"Previous":0,"Window":120,"Lease":7,"RegisteredAt":1,"ChangedAt":2,"SuspendedAt":0,"LastBeat":4}`,
			func(kv *mvccpb.KeyValue) (any, bool) { r, err := decodeRecord(kv); r.Schema = 2; return r, err == nil }, imported},
		{"/mep/sub/s", subscription{Schema: 1, Owner: "app", Prefix: "/x", Since: 5, Asked: asked}, `{"schema":1,"owner":"app","prefix":"/x","since":5,"asked":{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://a/"}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeSubscription(kv) }, &plugins.Subscription{ID: "s", Owner: "app", Prefix: "/x", Since: 5, Asked: asked}},
		{"/mep/sub/s", subscription{Schema: 2, Owner: "app", Since: 5, Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}}},
			`{"schema":2,"owner":"app","since":5,"asked":{"subscriptionType":"SerAvailabilityNotificationSubscription","websockNotifConfig":{"requestWebsocketUri":true}}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeSubscription(kv) }, &plugins.Subscription{ID: "s", Owner: "app", Since: 5, Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}}}},
		{"/mep/cur/s", cursor{Schema: 1, After: 9, Group: []heartbeat.Revision{10, 12}, Gone: true}, `{"schema":1,"after":9,"group":[10,12],"gone":true}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeCursor(kv) }, plugins.Cursor{After: 9, Group: []heartbeat.Revision{10, 12}, Gone: true}},
		{"/mep/cur/s", cursor{Schema: 1, After: 9, Newest: 11}, `{"schema":1,"after":9,"newest":11}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeCursor(kv) }, plugins.Cursor{After: 9, Newest: 11}},
		{"/mep/cur/s", cursorValue(&plugins.Cursor{After: 9, Passed: 14, PutOff: []heartbeat.Revision{10}, Group: []heartbeat.Revision{13, 14}}), `{"schema":1,"after":9,"putOff":{"passed":14,"events":[10],"group":[13,14]}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeCursor(kv) }, plugins.Cursor{After: 9, Passed: 14, PutOff: []heartbeat.Revision{10}, Group: []heartbeat.Revision{13, 14}}},
		{"/mep/obx/" + string(id) + "/0000000000000003", event{Schema: 1, ID: id, Seq: 3, Owner: "app", Change: heartbeat.Removed, State: heartbeat.Inactive, At: 8, Attributes: "{}"}, `{"schema":1,"id":"` + string(id) + `","seq":3,"owner":"app","change":4,"state":3,"at":8,"attributes":"{}"}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeEvent(kv) }, &plugins.Event{ID: id, Owner: "app", Change: heartbeat.Removed, State: heartbeat.Inactive, Made: 8, Attributes: "{}", Size: 242}},
		{"/mep/obx/" + string(id) + "/0000000000000003", event{Schema: 1, ID: id, Seq: 3, Owner: "app", Change: heartbeat.StateChanged, State: heartbeat.Suspended, At: 8, Attributes: "{}",
			From: heartbeat.Active, Cause: eventCause{Kind: "silence", By: "mep-0"}, LastBeat: 7, Interval: 2, Window: 6},
			`{"schema":1,"id":"` + string(id) + `","seq":3,"owner":"app","change":2,"state":2,"at":8,"attributes":"{}","from":1,"cause":{"kind":"silence","by":"mep-0"},"lastBeat":7,"interval":2,"window":6}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeEvent(kv) }, &plugins.Event{ID: id, Owner: "app", Change: heartbeat.StateChanged, From: heartbeat.Active, State: heartbeat.Suspended, Made: 8, Attributes: "{}",
				Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "mep-0"}, LastBeat: 7, Interval: 2, Window: 6, Size: 328}},
		{"/mep/app/app", application{Schema: 1, Info: app, Leaving: true}, `{"schema":1,"info":{"appName":"n","appInstanceId":"app"},"leaving":true}`,
			func(kv *mvccpb.KeyValue) (any, bool) { a, _, ok := decodeApplication(kv); return a, ok }, plugins.Application{Info: app, Leaving: true}},
		{"/mep/app/app", application{Schema: 1, Info: app, ReadyAt: 6, Termination: &termination{Action: mp1.Terminating, Timeout: 30, Begun: 7, Confirmed: true}},
			`{"schema":1,"info":{"appName":"n","appInstanceId":"app"},"readyAt":6,"termination":{"action":"TERMINATING","timeout":30,"begun":7,"confirmed":true}}`,
			func(kv *mvccpb.KeyValue) (any, bool) { a, _, ok := decodeApplication(kv); return a, ok },
			plugins.Application{Info: app, ReadyAt: 6, Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 30, Begun: 7, Confirmed: true}}},
		{"/mep/app/app", application{Schema: 1, Unregistered: true, ReadyAt: 6}, `{"schema":1,"unregistered":true,"readyAt":6}`,
			func(kv *mvccpb.KeyValue) (any, bool) { a, _, ok := decodeApplication(kv); return a, ok },
			plugins.Application{Info: mp1.AppInfo{AppInstanceID: "app"}, Unregistered: true, ReadyAt: 6}},
		{"/mep/obt/app/0000000000000007", terminationEvent{Schema: 1, App: "app", Action: mp1.Terminating, Timeout: 30, Begun: 7}, `{"schema":1,"app":"app","action":"TERMINATING","timeout":30,"begun":7}`,
			func(kv *mvccpb.KeyValue) (any, bool) { return decodeTermination(kv) },
			&plugins.Event{Owner: "app", Made: 7, Size: 99, Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 30, Begun: 7}}},
		{"/mep/crd/app", credential{Schema: 1, Roles: []string{"host"}, Apps: []string{"a*"}, Generation: "g", Secrets: []secret{{Hash: make([]byte, 32), Ends: 7}}, Created: 5, Rotated: 6},
			`{"schema":1,"roles":["host"],"apps":["a*"],"generation":"g","secrets":[{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","ends":7}],"created":5,"rotated":6}`,
			func(kv *mvccpb.KeyValue) (any, bool) { c, _, ok := decodeCredential(kv); return c, ok },
			plugins.Credential{ID: "app", Roles: []string{"host"}, Apps: []string{"a*"}, Generation: "g", Secrets: []plugins.Secret{{Ends: 7}}, Created: 5, Rotated: 6}},
	} {
		value, err := json.Marshal(c.value)
		require.NoError(t, err)
		require.Equal(t, c.golden, string(value))
		got, ok := c.read(&mvccpb.KeyValue{Key: []byte(c.key), Value: []byte(c.golden)})
		require.True(t, ok, c.key)
		require.Equal(t, c.want, got)
	}
}

// A release that does not know ids of EdgeGallery's form finds no instance by them, and would
// put one where none belongs: it cannot read their records.
func TestARecordWithAnIDOfEdgeGallerysIsUnreadableToEarlierReleases(t *testing.T) {
	for _, id := range []heartbeat.ID{"0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210"} {
		text, err := encodeRecord(&heartbeat.Record{Schema: heartbeat.Schema, ID: id, State: heartbeat.Active})
		require.NoError(t, err)
		require.Equal(t, len(id) == 32, strings.HasPrefix(text, `{"Schema":2,`))
		for _, schema := range []int{1, 2} {
			other := `{"Schema":` + strconv.Itoa(schema) + text[len(`{"Schema":1`):]
			r, err := decodeRecord(&mvccpb.KeyValue{Key: []byte("/mep/rec/" + id), Value: []byte(other)})
			require.Equal(t, other == text, err == nil)
			if err == nil {
				require.Equal(t, heartbeat.Schema, r.Schema, "the engine has one")
			}
		}
	}
}

// Releases before read subscriptions of schema 1 only, and would POST one that is told through a
// WebSocket to nowhere: it is stored so that they cannot read it.
func TestASubscriptionByWebSocketIsUnreadableToEarlierReleases(t *testing.T) {
	for schema, ok := range map[string]bool{"1": false, "2": true} {
		_, got := decodeSubscription(&mvccpb.KeyValue{Key: []byte("/mep/sub/s"), Value: []byte(`{"schema":` + schema + `,"owner":"app","asked":{"subscriptionType":"SerAvailabilityNotificationSubscription","websockNotifConfig":{"requestWebsocketUri":true}}}`)})
		require.Equal(t, ok, got)
		_, got = decodeSubscription(&mvccpb.KeyValue{Key: []byte("/mep/sub/s"), Value: []byte(`{"schema":` + schema + `,"owner":"app","asked":{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://a/"}}`)})
		require.Equal(t, !ok, got)
	}
	made := plugins.Subscription{ID: "w", Owner: "app", Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}}}
	require.Equal(t, 2, schemaOf(&made.Asked))
}

// A silence that is kept adds members to a record, which the previous release ignores. What
// a later release adds survives what this one writes.
func TestARecordKeepsWhatItDoesNotKnow(t *testing.T) {
	id := heartbeat.ID("0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210")
	key := []byte("/mep/rec/" + string(id))
	silent := heartbeat.Record{Schema: 1, ID: id, Attributes: `{"a":"\u003c"}`, State: heartbeat.Active, Interval: 5, Window: 15, Silence: 7500000000, SilenceAt: 9}
	text, err := encodeRecord(&silent)
	require.NoError(t, err)
	require.Contains(t, text, `,"LastBeat":0,"Silence":7500000000,"SilenceAt":9}`)
	got, err := decodeRecord(&mvccpb.KeyValue{Key: key, Value: []byte(text)})
	require.NoError(t, err)
	require.Equal(t, silent, got)

	later := text[:len(text)-1] + `,"Younger":{"b":[1,"<"]},"Added":1e3}`
	got, err = decodeRecord(&mvccpb.KeyValue{Key: key, Value: []byte(later)})
	require.NoError(t, err)
	require.JSONEq(t, `{"Added":1e3,"Younger":{"b":[1,"<"]}}`, got.Extra)
	got.Seq++
	again, err := encodeRecord(&got)
	require.NoError(t, err)
	require.Contains(t, again, `"Seq":1,`)
	require.Contains(t, again, `"SilenceAt":9,"Added":1e3,"Younger":{"b":[1,"<"]}}`)
	twice, err := decodeRecord(&mvccpb.KeyValue{Key: key, Value: []byte(again)})
	require.NoError(t, err)
	require.Equal(t, got, twice)
	for _, bad := range []string{text + "x", text + text, later + "x", "{", `{"Added":`} {
		_, err = decodeRecord(&mvccpb.KeyValue{Key: key, Value: []byte(bad)})
		require.ErrorIs(t, err, heartbeat.ErrUnusable, bad)
	}
}

// The same for what is written again of the others, through the interfaces of their readers:
// cursors and registrations.
func TestACursorAndARegistrationKeepWhatTheyDoNotKnow(t *testing.T) {
	const later = `"added":{"b":[1,"<"]},"younger":1e3}`
	add := func(key string) {
		value := strings.TrimSuffix(storetest.Value(t, store.client, key), "}") + "," + later
		_, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	keeps := func(key, member string) {
		t.Helper()
		value := storetest.Value(t, store.client, key)
		require.Contains(t, value, member)
		require.Equal(t, 1, strings.Count(value, later), "%s", value)
	}
	sub := subscribed(t, "s-later")
	key := keys.CursorPrefix + sub.ID
	add(key)
	c, err := store.Cursor(t.Context(), sub.ID)
	require.NoError(t, err)
	for range 2 {
		c.After++
		c.At, err = store.MoveCursor(t.Context(), sub.ID, c)
		require.NoError(t, err)
		keeps(key, `"after":`+strconv.FormatInt(int64(c.After), 10))
	}

	a := plugins.Application{Info: mp1.AppInfo{AppName: "n", AppInstanceID: "app-later"}}
	_, err = store.SaveApplication(t.Context(), a)
	require.NoError(t, err)
	key = keys.AppPrefix + a.Info.AppInstanceID
	add(key)
	a, err = store.Application(t.Context(), a.Info.AppInstanceID)
	require.NoError(t, err)
	for _, name := range []string{"m", "o"} {
		a.Info.AppName = name
		a.At, err = store.SaveApplication(t.Context(), a)
		require.NoError(t, err)
		keeps(key, `"appName":"`+name+`"`)
	}
	_, err = store.listApplications(t.Context(), func(all []plugins.Application, _ heartbeat.Revision) { a = all[len(all)-1] })
	require.NoError(t, err)
	_, err = store.SaveApplication(t.Context(), a)
	require.NoError(t, err)
	keeps(key, `"appName":"o"`)
	_, err = store.EraseApplication(t.Context(), "app-later", 0)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	require.NoError(t, store.Unsubscribe(t.Context(), mp1.SubscriptionType, sub.ID))
}

// Replicas of two releases compare projections byte for byte, and repair what differs.
func TestTheProjectionIsWhatItWas(t *testing.T) {
	info := storetest.Info(t)
	key := serviceKey("app", info, "")
	r := heartbeat.Record{Schema: 1, ID: heartbeat.ID(keys.ServiceIDOf(&key) + "0123456789abcdef0123456789abcdef"), Owner: "app", Attributes: storetest.Attributes,
		State: heartbeat.Active, Seq: 1, Proposed: 30, Interval: 30, Window: 60, Lease: 7, RegisteredAt: 1e18, ChangedAt: 2e18}
	p, err := project(&r)
	require.NoError(t, err)
	instance, err := p.instance()
	require.NoError(t, err)
	service, err := p.service()
	require.NoError(t, err)
	require.Equal(t, `{"instanceId":"0123456789abcdef0123456789abcdef","serviceId":"8a1fc251959c8c7c7cc28d0d8a269634","endpoints":["http://10.0.0.5:80","rest://10.0.0.5:80"],"hostName":"app","status":"UP",`+
		`"properties":{"mec.appInstanceId":"app","mec.livenessInterval":"30","mec.serInstanceId":"8a1fc251959c8c7c7cc28d0d8a2696340123456789abcdef0123456789abcdef",`+
		`"mec.serName":"face recognition","mec.serializer":"JSON","mec.state":"ACTIVE","mec.version":"v2"},"healthCheck":{"mode":"push","interval":30,"times":1},`+
		`"timestamp":"1000000000","modTimestamp":"2000000000","version":"1.0.0"}`, instance)
	require.Equal(t, `{"serviceId":"8a1fc251959c8c7c7cc28d0d8a269634","appId":"app","serviceName":"face_recognition","version":"1.0.0","description":"MEC service","level":"FRONT",`+
		`"status":"UP","properties":{"allowCrossApp":"true","mec.appInstanceId":"app","mec.serName":"face recognition","mec.version":"v2"},"timestamp":"1000000000","registerBy":"PLATFORM",`+
		`"framework":{"name":"ETSI-MEC-011","version":"3.1.1"}}`, string(service))
}
