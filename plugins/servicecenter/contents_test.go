package servicecenter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func TestWhatAStoreHoldsIsCountedAndWhatCannotBeReadIsNamed(t *testing.T) {
	c := contents{states: map[heartbeat.State]int{}}
	r := storetest.NewRecord(t, store, "app-count")
	r.State = heartbeat.Suspended
	value, err := encodeRecord(&r)
	require.NoError(t, err)
	for key, value := range map[string]string{
		recordKey(r.ID): value, recordPrefix + "b": "{", subPrefix + "s": "?", cursorPrefix + "s": `{"schema":9}`, "/mep/else": "?",
		instancePrefix + "a/b": "{}", servicePrefix + "a": "{}",
	} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(key), []byte(value)
		c.take(kv)
	}
	require.Equal(t, map[heartbeat.State]int{heartbeat.Suspended: 1}, c.states)
	require.Equal(t, []int{3, 1, 1, 1}, []int{c.unreadable, c.subscriptions, c.instances, c.services})
	require.Equal(t, cursorPrefix+"s", c.first)
}
