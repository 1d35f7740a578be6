package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func TestWhatAStoreHoldsIsCountedAndWhatCannotBeReadIsNamed(t *testing.T) {
	c := Contents{States: map[heartbeat.State]int{}}
	r := storetest.NewRecord(t, store, "app-count")
	r.State = heartbeat.Suspended
	value, err := encodeRecord(&r)
	require.NoError(t, err)
	for key, value := range map[string]string{
		keys.Record(r.ID): value, keys.RecordPrefix + "b": "{", keys.SubPrefix + "s": "?", keys.CursorPrefix + "s": `{"schema":9}`, "/mep/else": "?",
		keys.TerminationPrefix + "a/0000000000000001": `{"schema":1,"app":"a","begun":1}`, keys.TerminationSubPrefix + "t": `{"schema":1,"owner":"a","asked":{"subscriptionType":"AppTerminationNotificationSubscription","appInstanceId":"a"}}`,
		keys.InstancePrefix + "a/b": "{}", keys.ServicePrefix + "a": "{}",
	} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(key), []byte(value)
		c.Add(kv)
	}
	require.Equal(t, map[heartbeat.State]int{heartbeat.Suspended: 1}, c.States)
	require.Equal(t, []int{3, 2, 1, 1, 1}, []int{c.Unreadable, c.Subscriptions, c.Events, c.Instances, c.Services})
	require.Equal(t, keys.CursorPrefix+"s", c.First)
}
