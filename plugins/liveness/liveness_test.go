package liveness

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
)

func logged(t *testing.T, txn *heartbeat.Txn, alone bool) (line map[string]any) {
	t.Helper()
	var out bytes.Buffer
	logCommitted(logs.New(&out, "DEBUG"), txn, alone)
	if out.Len() > 0 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &line), "%s", out.String())
	}
	return line
}

// "Suspended at 10:14, nobody knows why": the line has to say why.
func TestTheLineOfASuspensionSaysWhatItWasJudgedBy(t *testing.T) {
	beat := time.Date(2026, 11, 26, 10, 14, 31, 560e6, time.UTC)
	r := heartbeat.Record{ID: "i", Owner: "my-app", Attributes: `{"serName":"face-recognition"}`, State: heartbeat.Suspended, Interval: 1, Window: 3,
		RegisteredAt: beat.Add(-time.Hour).UnixNano(), LastBeat: beat.UnixNano(), SuspendedAt: beat.Add(4210 * time.Millisecond).UnixNano()}
	line := logged(t, &heartbeat.Txn{Kind: heartbeat.Claim, Record: r}, true)
	for tag, want := range map[string]any{"level": "WARN", "transaction": "CLAIM", "serInstanceId": "i", "interval": "1s", "window": "3s",
		"lastBeat": "2026-11-26T10:14:31.56Z", "silentFor": "4.21s"} {
		require.Equal(t, want, line[tag], tag)
	}
	r.LastBeat = 0
	line = logged(t, &heartbeat.Txn{Kind: heartbeat.Claim, Record: r}, true)
	require.Equal(t, "2026-11-26T09:14:31.56Z", line["lastBeat"], "never heard: since the registration")
	line = logged(t, &heartbeat.Txn{Kind: heartbeat.Claim, Record: r}, false)
	require.Equal(t, "3s", line["window"])
	require.NotContains(t, line, "lastBeat", "another replica may have heard it later")
	require.NotContains(t, line, "silentFor")
}

func TestTheLineOfAChangeSaysWhatHappened(t *testing.T) {
	said := map[string]bool{}
	for _, k := range heartbeat.Kinds {
		line := logged(t, &heartbeat.Txn{Kind: k, Record: heartbeat.Record{ID: "i", Attributes: `{"serName":"n"}`}}, true)
		if k == heartbeat.Silent || k == heartbeat.Heard || k == heartbeat.End {
			require.Empty(t, line)
			continue
		}
		require.NotContains(t, line, "serName", "callers write nothing into the log")
		require.NotContains(t, line, "interval", "no heartbeats are required")
		said[line["msg"].(string)] = true
	}
	for _, want := range []string{"service registered", "service is back: heard again", "service deleted"} {
		require.True(t, said[want], want)
	}
}

// Two replicas read the whole outbox, all cursors and all subscriptions for what one would do.
func TestOneReplicaTidies(t *testing.T) {
	times := func(rank int) (n int) {
		for i := 1; i <= 10*tidyAnyway; i++ {
			if tidies(rank, i) {
				n++
			}
		}
		return n
	}
	require.Equal(t, 10*tidyAnyway, times(0))
	require.Equal(t, 10, times(1), "the first one may live and not get on with it")
}
