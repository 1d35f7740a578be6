package store

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func terminated(app string, begun int64) plugins.Application {
	return plugins.Application{Info: mp1.AppInfo{AppName: "n", AppInstanceID: app}, Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: begun}}
}

// Whoever begins a termination without telling it, or tells one that did not begin, leaves
// the application waiting for nothing, or has it end itself for nothing.
func TestATerminationBeginsWithItsEventOrNotAtAll(t *testing.T) {
	ctx := t.Context()
	a := terminated("app-begin", 7)
	at, err := store.BeginTermination(ctx, a)
	require.NoError(t, err)
	a.At = at
	got, err := store.Application(ctx, "app-begin")
	require.NoError(t, err)
	require.Equal(t, a, got)
	kv, err := store.one(ctx, keys.Termination("app-begin", 7))
	require.NoError(t, err)
	e, ok := decodeTermination(kv)
	require.True(t, ok)
	require.Equal(t, at, e.At, "one transaction")
	require.Equal(t, a.Termination, e.Termination)

	stale := terminated("app-begin", 8)
	_, err = store.BeginTermination(ctx, stale)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "somebody else wrote it in between")
	kv, err = store.one(ctx, keys.Termination("app-begin", 8))
	require.NoError(t, err)
	require.Nil(t, kv, "and nobody is told of it")
	_, err = store.BeginTermination(ctx, a)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "an event is never written over: its consumers may be at it")
	a.Termination.Begun = 9
	_, err = store.BeginTermination(ctx, a)
	require.NoError(t, err)
}

// A replica of the release before keeps what it does not know when it registers anew who is
// leaving: a new registration with an old termination would be removed at once.
func TestWhatAnApplicationWasIsNotKeptOnceItLeaves(t *testing.T) {
	ctx := t.Context()
	a := terminated("app-leaves", 7)
	a.ReadyAt = 5
	var err error
	a.At, err = store.BeginTermination(ctx, a)
	require.NoError(t, err)
	a.Leaving, a.ReadyAt = true, 0
	a.At, err = store.SaveApplication(ctx, a)
	require.NoError(t, err)
	const ended = `"ended":{"action":"TERMINATING","timeout":5,"begun":7}`
	require.Equal(t, `{"schema":1,"info":{"appName":"n","appInstanceId":"app-leaves"},"leaving":true,`+ended+`}`, storetest.Value(t, store.client, keys.AppPrefix+"app-leaves"))
	got, err := store.Application(ctx, "app-leaves")
	require.NoError(t, err)
	require.Equal(t, a, got, "what led to it is known")

	anew := &mvccpb.KeyValue{Key: []byte(keys.AppPrefix + "app"), Value: []byte(`{"schema":1,"info":{"appName":"n","appInstanceId":"app"},` + ended + `}`)}
	back, unknown, ok := decodeApplication(anew)
	require.True(t, ok)
	require.Empty(t, unknown, "and is not carried on")
	require.Equal(t, plugins.Application{Info: mp1.AppInfo{AppName: "n", AppInstanceID: "app"}}, back, "as the release before writes it")
	anew.Value = []byte(`{"schema":1,"info":{"appName":"n","appInstanceId":"app"},"leaving":true,"termination":{"action":"TERMINATING","timeout":5,"begun":7}}`)
	back, _, ok = decodeApplication(anew)
	require.True(t, ok)
	require.Equal(t, &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: 7}, back.Termination, "as the release before deletes it")
}

// The release before reads schema, info and leaving, and takes what has all of them for a
// registration.
func TestAnApplicationThatDidNotRegisterIsNoRegistrationToTheReleaseBefore(t *testing.T) {
	ctx := t.Context()
	a := plugins.Application{Info: mp1.AppInfo{AppInstanceID: "app-unregistered"}, Unregistered: true, ReadyAt: 5}
	at, err := store.SaveApplication(ctx, a)
	require.NoError(t, err)
	var before struct {
		Info mp1.AppInfo `json:"info"`
	}
	_, err = decode([]byte(storetest.Value(t, store.client, keys.AppPrefix+"app-unregistered")), &before)
	require.NoError(t, err)
	require.Empty(t, before.Info.AppInstanceID)
	a.At = at
	got, err := store.Application(ctx, "app-unregistered")
	require.NoError(t, err)
	require.Equal(t, a, got)
}
