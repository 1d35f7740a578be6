package plugins

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func TestARecordAndItsEventShowTheSameCause(t *testing.T) {
	r := heartbeat.Record{State: heartbeat.Suspended, Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "mep-0"},
		LastBeat: 1_500_000_000, Interval: 2, Window: 6}
	e := Event{State: r.State, Cause: r.Cause, LastBeat: r.LastBeat, Interval: r.Interval, Window: r.Window}
	require.Equal(t, CauseOf(&r), e.Why())
	c := e.Why()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"silence","by":"mep-0","lastHeartbeat":"1970-01-01T00:00:01.5Z","windowSeconds":6}`, string(text))
	require.Equal(t, "no heartbeat for 6 s (interval 2 s, window 6 s), decided by mep-0", c.Sentence())
}

func TestEveryCauseHasItsSentence(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range heartbeat.CauseKinds {
		s := CauseOf(&heartbeat.Record{Cause: heartbeat.Cause{Kind: k}, State: heartbeat.Inactive}).Sentence()
		require.NotEqual(t, mp1.Cause{Kind: mp1.CauseKind(k + "?")}.Sentence(), s)
		require.NotEqual(t, string(k), s, "no more than its kind")
		require.False(t, seen[s], s)
		seen[s] = true
	}
}
