package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// randomRecord has everything that a record may hold.
func randomRecord(r *rand.Rand) heartbeat.Record {
	few := 10 // of the characters: those that most have
	if r.IntN(2) == 0 {
		few = 26
	}
	text := func() string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString([]string{"a", "Z", "9", " ", `"`, `\`, "/", "ä", "\n", "\t", "\r", "\b", "\f", "\x00", "\x1f", "\x7f", "語", "😀", "\u2028", "<", "&", `\u0041`, "{", "}", ",", ":"}[r.IntN(few)])
		}
		return b.String()
	}
	number := func() int64 {
		switch r.IntN(4) {
		case 0:
			return 0
		case 1:
			return r.Int64N(1000) - 500
		default:
			return r.Int64() - r.Int64()
		}
	}
	states := heartbeat.States
	return heartbeat.Record{ID: heartbeat.ID(text()), Owner: text(), Attributes: text(), Place: text(), State: states[r.IntN(len(states))],
		Cause: heartbeat.Cause{Kind: heartbeat.CauseKind(text()), By: text(), Text: text()}, Seq: r.Uint64() >> (1 + r.IntN(63)),
		Proposed: int(number()), Interval: int(number()), Previous: int(number()), Window: int(number()), Lease: heartbeat.LeaseID(number()),
		Agents: heartbeat.Agents(text()), Left: r.IntN(2) == 0, RegisteredAt: number(), ChangedAt: number(), CausedAt: number(), SuspendedAt: number(), LastBeat: number(),
		Silence: time.Duration(number()), SilenceAt: time.Duration(number())}
}

// What is read quickly is read as encoding/json reads it, whatever the value is: also where it was
// written by somebody else, or is damaged.
func TestARecordThatIsReadQuicklyIsReadAlike(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	quickly, changed := 0, 0
	alike := func(value string) (quick bool) {
		var got, want recordValue
		if !quickRecord([]byte(value), &got) {
			return false
		}
		unknown, err := decode([]byte(value), &want)
		require.NoError(t, err, "seed %d: %s", seed, value)
		require.Empty(t, unknown)
		require.Equal(t, want, got, "seed %d: %s", seed, value)
		return true
	}
	for range 3000 {
		record := randomRecord(r)
		value, err := encodeRecord(&record)
		require.NoError(t, err)
		if alike(value) {
			quickly++
		}
		for range 20 {
			b := []byte(value)
			switch at := r.IntN(len(b)); r.IntN(4) {
			case 0:
				b[at] = byte(r.IntN(256))
			case 1:
				b = append(b[:at], b[at+1:]...)
			case 2:
				b = append(b[:at:at], append([]byte{`"\,:{}0.-eu `[r.IntN(12)]}, b[at:]...)...)
			default:
				b = b[:at]
			}
			if alike(string(b)) {
				changed++
			}
		}
	}
	t.Logf("seed %d: %d of 3000 read quickly, and %d of those that were changed", seed, quickly, changed)
	require.Greater(t, quickly, 300)
	require.Greater(t, changed, 300)
}

// Every record of a usual service is read quickly: a start depends on it.
func TestAUsualRecordIsReadQuickly(t *testing.T) {
	for _, state := range heartbeat.States[1:] {
		record := heartbeat.Record{ID: heartbeat.ID(strings.Repeat("0a", 32)), Owner: "app", Attributes: `{"serName":"a\"b\\","version":"1"}`, State: state,
			Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "x", Text: "why"}, CausedAt: 5, Seq: 3, Proposed: -1, Interval: 60, Window: 180, Lease: 7587880,
			Agents: "a.b c.d", Left: true, RegisteredAt: 1e18, ChangedAt: 1e18, SuspendedAt: 1e18, LastBeat: 1e18, Silence: time.Second, SilenceAt: time.Hour}
		value, err := encodeRecord(&record)
		require.NoError(t, err)
		require.True(t, quickRecord([]byte(value), new(recordValue)), value)
		got, err := decodeRecord(&mvccpb.KeyValue{Key: fmt.Append(nil, "/mep/rec/", record.ID), Value: []byte(value)})
		require.NoError(t, err)
		record.Schema = heartbeat.Schema
		require.Equal(t, record, got)
	}
}

func BenchmarkRecord(b *testing.B) {
	attrs := `{"serName":"service-1","serCategory":{"href":"/catalogue/1","id":"cat-1","name":"RNI","version":"v1"},"version":"1.2.3","transportInfo":{"id":"t1","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x/1"]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"http://auth.example/token"}}},"serializer":"JSON","scopeOfLocality":"MEC_HOST","consumedLocalOnly":true,"isLocal":true}`
	record := heartbeat.Record{ID: heartbeat.ID(strings.Repeat("0a", 32)), Owner: "app-17", Attributes: attrs, State: heartbeat.Active, Seq: 3, Proposed: 300, Interval: 300, Window: 900, Lease: 7587880343, RegisteredAt: 1e18, ChangedAt: 1e18}
	value, err := encodeRecord(&record)
	require.NoError(b, err)
	b.Run("quick", func(b *testing.B) {
		for range b.N {
			var v recordValue
			if !quickRecord([]byte(value), &v) {
				b.Fatal(value)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		for range b.N {
			var v recordValue
			if _, err := decode([]byte(value), &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
