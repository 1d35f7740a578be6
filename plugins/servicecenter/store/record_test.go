package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

func stored(t *testing.T, value string) heartbeat.Record {
	t.Helper()
	var v storedRecord
	require.NoError(t, json.Unmarshal([]byte(value), &v))
	r, err := decodeRecord(&mvccpb.KeyValue{Key: []byte(keys.Record(v.ID)), Value: []byte(value), ModRevision: 1})
	require.NoError(t, err)
	return r
}

// A replica of the release before keeps the cause that it does not know, and writes another state
// beside it.
func TestACauseCountsOnlyForItsState(t *testing.T) {
	const id = `"0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210"`
	record := func(state, cause string) heartbeat.Record {
		return stored(t, `{"Schema":1,"ID":`+id+`,"Owner":"app","Attributes":"{}","State":`+state+cause+`}`)
	}
	silence := heartbeat.Cause{Kind: heartbeat.BySilence, By: "mep-0", Text: "x"}
	require.EqualValues(t, 7, record("2", `,"Cause":{"State":2,"Kind":"silence","At":7}`).CausedAt)
	require.Zero(t, record("1", `,"Cause":{"State":2,"Kind":"silence","At":7}`).CausedAt)
	require.Equal(t, silence, record("2", `,"Cause":{"State":2,"Kind":"silence","By":"mep-0","Text":"x"}`).Cause)
	require.Equal(t, heartbeat.Cause{}, record("1", `,"Cause":{"State":2,"Kind":"silence","By":"mep-0"}`).Cause, "it is back, for whatever reason")
	require.Equal(t, heartbeat.Cause{Kind: heartbeat.ByApplication}, record("3", `,"Cause":{"State":2,"Kind":"silence","By":"mep-0"}`).Cause, "nobody else could make it so")
	require.Equal(t, heartbeat.Cause{Kind: heartbeat.BySilence}, record("2", "").Cause)
	require.Equal(t, heartbeat.Cause{}, record("1", "").Cause)
	later := record("2", `,"Cause":{"State":2,"Kind":"of a later release"},"More":7`)
	later.CausedAt = 8
	require.Equal(t, heartbeat.CauseKind("of a later release"), later.Cause.Kind)
	require.Equal(t, `{"More":7}`, later.Extra)

	text, err := encodeRecord(&later)
	require.NoError(t, err)
	require.Equal(t, later, stored(t, text))
	none := record("1", "")
	text, err = encodeRecord(&none)
	require.NoError(t, err)
	require.NotContains(t, text, "Cause")
}

// A release before this one takes a drained record for INACTIVE, which is what it shows.
func TestADrainedRecordIsInactiveOnDisk(t *testing.T) {
	for state, marker := range map[heartbeat.State]string{heartbeat.Drained: `"Drained":1`, heartbeat.DrainedInactive: `"Drained":3`} {
		r := heartbeat.Record{Schema: 1, ID: "0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210", Owner: "app", Attributes: "{}", State: state,
			Cause: heartbeat.Cause{Kind: heartbeat.ByDrain, By: "admin", Text: "disk"}, CausedAt: 9}
		text, err := encodeRecord(&r)
		require.NoError(t, err)
		require.Contains(t, text, `"State":3`)
		require.Contains(t, text, marker)
		require.Equal(t, r, stored(t, text))
		lifted := stored(t, strings.Replace(text, `"State":3`, `"State":1`, 1))
		require.Equal(t, heartbeat.Active, lifted.State, "a release before this one took a PUT of its owner")
		require.Equal(t, heartbeat.Cause{}, lifted.Cause)
		text, err = encodeRecord(&lifted)
		require.NoError(t, err)
		require.NotContains(t, text, "Drained")
	}
}
