package store

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// A release before this one moves a cursor and keeps what it does not know of it. It must see every
// event that is put off behind the cursor, and what it wrote must not be taken back.
func TestTheReleaseBeforeLosesNothingThatIsPutOff(t *testing.T) {
	type revisions = []heartbeat.Revision
	ours := plugins.Cursor{After: 9, Passed: 16, PutOff: revisions{10, 12}, Group: revisions{15, 16}}
	value, err := json.Marshal(cursorValue(&ours))
	require.NoError(t, err)
	var before struct {
		After heartbeat.Revision `json:"after"`
		Group revisions          `json:"group"`
	}
	require.NoError(t, json.Unmarshal(value, &before))
	require.EqualValues(t, 9, before.After, "all that is put off is behind it")
	require.Empty(t, before.Group, "of which it would leave out what is put off")
	for name, c := range map[string]struct {
		written string
		want    plugins.Cursor
	}{
		"it sent some":        {`{"schema":1,"after":11,`, plugins.Cursor{After: 11, Passed: 16, PutOff: revisions{12}, Group: revisions{15, 16}}},
		"some of the group":   {`{"schema":1,"after":15,`, plugins.Cursor{After: 15, Passed: 16, Group: revisions{16}}},
		"it sent all of them": {`{"schema":1,"after":16,`, plugins.Cursor{After: 16}},
		"it began a group":    {`{"schema":1,"after":11,"group":[12,13],`, plugins.Cursor{After: 11, Passed: 16, PutOff: revisions{12}, Group: revisions{12, 13}}},
	} {
		kept := `"putOff":{"passed":16,"events":[10,12],"group":[15,16]}}`
		is, ok := decodeCursor(&mvccpb.KeyValue{Value: []byte(c.written + kept), CreateRevision: 1, ModRevision: 30})
		require.True(t, ok, name)
		c.want.At = 30
		require.Equal(t, c.want, is, name)
	}
}
