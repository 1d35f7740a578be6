package store

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
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

// likeJSON checks what is read quickly of a value, if it is: encoding/json reads the same.
func likeJSON(tb testing.TB, value string) (recordRead, eventRead bool) {
	tb.Helper()
	var record, wantRecord recordValue
	if recordRead = quickRecord([]byte(value), &record); recordRead {
		unknown, err := decode([]byte(value), &wantRecord)
		require.NoError(tb, err, "%s", value)
		require.Empty(tb, unknown)
		require.Equal(tb, wantRecord, record, "%s", value)
	}
	var e, wantEvent event
	if eventRead = quickEvent([]byte(value), &e); eventRead {
		require.NoError(tb, json.Unmarshal([]byte(value), &wantEvent), "%s", value)
		require.Equal(tb, wantEvent, e, "%s", value)
	}
	return recordRead, eventRead
}

// writtenValues are a record and the event that tells of it, as they are stored.
func writtenValues(tb testing.TB, record *heartbeat.Record, change heartbeat.Change) (recordText, eventText string, op clientv3.Op) {
	tb.Helper()
	recordText, err := encodeRecord(record)
	require.NoError(tb, err)
	op, err = eventOp(&heartbeat.Txn{Change: change, Was: heartbeat.Suspended, Record: *record})
	require.NoError(tb, err)
	return recordText, string(op.ValueBytes()), op
}

// otherwise is a value that is damaged, or written by somebody else.
func otherwise(r *rand.Rand, value string) string {
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
	return string(b)
}

// What is read quickly is read as encoding/json reads it, whatever the value is.
func TestWhatIsReadQuicklyIsReadAlike(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var records, events, changed int
	for range 3000 {
		record := randomRecord(r)
		recordText, eventText, _ := writtenValues(t, &record, heartbeat.Changes[r.IntN(len(heartbeat.Changes))])
		if quick, _ := likeJSON(t, recordText); quick {
			records++
		}
		if _, quick := likeJSON(t, eventText); quick {
			events++
		}
		for range 10 {
			for _, value := range []string{recordText, eventText} {
				if a, b := likeJSON(t, otherwise(r, value)); a || b {
					changed++
				}
			}
		}
	}
	t.Logf("%d and %d of 3000 read quickly, and %d of those that were changed", records, events, changed)
	require.Greater(t, records, 2900)
	require.Greater(t, events, 2900)
	require.Greater(t, changed, 300)
}

// Whatever a value is, it means what encoding/json says.
func FuzzStoredValues(f *testing.F) {
	for _, value := range storedValues(f) {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { means(t, value) })
}

// means checks what is read of a value, quickly or not.
func means(tb testing.TB, value string) {
	tb.Helper()
	likeJSON(tb, value)
	got, err := readEvent([]byte(value))
	var want event
	wantErr := json.Unmarshal([]byte(value), &want)
	require.Equal(tb, wantErr, err, "%s", value)
	require.Equal(tb, want, got, "%s", value)
	record, extra, err := readRecord([]byte(value))
	var wantRecord recordValue
	wantExtra, wantErr := decode([]byte(value), &wantRecord)
	require.Equal(tb, wantErr, err, "%s", value)
	require.Equal(tb, wantExtra, extra, "%s", value)
	require.Equal(tb, wantRecord, record, "%s", value)
}

// storedValues are values as they are stored, and others that mean the same, something else or nothing.
func storedValues(tb testing.TB) (all []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, change := range heartbeat.Changes {
		for _, record := range []heartbeat.Record{usualRecord, randomRecord(r), randomRecord(r)} {
			recordText, eventText, _ := writtenValues(tb, &record, change)
			all = append(all, recordText, eventText)
		}
	}
	_, text, _ := writtenValues(tb, &usualRecord, heartbeat.Added)
	for _, changed := range [][2]string{
		{`{"schema"`, `{ "schema"`}, {`{"schema":1`, `{"schema":null`}, {`{"schema":1`, `{"schema":1.0`}, {`{"schema":1`, `{"SCHEMA":1`}, {`"seq":3`, `"seq":18446744073709551615`},
		{`"seq":3`, `"seq":18446744073709551616`}, {`"seq":3`, `"seq":-3`}, {`"seq":3`, `"seq":03`}, {`"state":1`, `"state":256`}, {`"state":1`, `"state":-1`}, {`"owner":"`, `"owner":"\u0041`},
		{`"owner":"`, `"owner":"\ud83d\ude00`}, {`"owner":"`, `"owner":"\ud83d`}, {`"owner":"`, "\"owner\":\"\xff"}, {`"owner":"`, `"owner":"x","owner":"`}, {`"owner":"`, `"later":[1,"<"],"owner":"`},
		{`"cause":{`, `"cause":{"later":1,`}, {`"cause":{"kind":"silence"`, `"cause":{"kind":null`}, {`"cause":{"kind":"silence"`, `"cause":{`}, {`}`, `}}`}, {`}`, ``}, {`{"schema":1`, ``}, {`"attributes":"{`, `"attributes":{`},
	} {
		other := strings.Replace(text, changed[0], changed[1], 1)
		require.NotEqual(tb, text, other, "%q", changed)
		all = append(all, other)
	}
	return append(all, "", "{", "}", "{}", "null", "[]", `{"schema":}`, `{"schema":1}`, `{"Schema":1,"Cause":}}`, `{"Schema":1,"Cause":{"State":1}}`, `{"Schema":1,"Left":false}`)
}

// usualRecord is that of a service as most are.
var usualRecord = heartbeat.Record{ID: heartbeat.ID(strings.Repeat("0a", 32)), Owner: "app-17", Attributes: `{"serName":"service-1","serCategory":{"href":"/catalogue/1","id":"cat-1","name":"RNI","version":"v1"},"version":"1.2.3","state":"",` +
	`"transportInfo":{"id":"t1","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x?a=1\u0026b=2"]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"http://auth.example/token"}}},` +
	`"serializer":"JSON","scopeOfLocality":"MEC_HOST","consumedLocalOnly":true,"isLocal":true}`,
	State: heartbeat.Active, Cause: heartbeat.Cause{Kind: heartbeat.BySilence, By: "x", Text: "why"}, CausedAt: 5, Seq: 3, Proposed: -1, Interval: 60, Window: 180, Lease: 7587880,
	Agents: "a.b c.d", Left: true, RegisteredAt: 1e18, ChangedAt: 1e18, SuspendedAt: 1e18, LastBeat: 1e18, Silence: time.Second, SilenceAt: time.Hour}

// Every record of a usual service is read quickly, and every event: a start depends on it.
func TestWhatIsUsualIsReadQuickly(t *testing.T) {
	for _, state := range heartbeat.States[1:] {
		record := usualRecord
		record.State = state
		value, told, op := writtenValues(t, &record, heartbeat.StateChanged)
		quick, _ := likeJSON(t, value)
		require.True(t, quick, value)
		_, quick = likeJSON(t, told)
		require.True(t, quick, told)
		got, err := decodeRecord(&mvccpb.KeyValue{Key: []byte(keys.Record(record.ID)), Value: []byte(value)})
		require.NoError(t, err)
		record.Schema = heartbeat.Schema
		require.Equal(t, record, got)
		e, ok := decodeEvent(&mvccpb.KeyValue{Key: op.KeyBytes(), Value: []byte(told), CreateRevision: 5})
		require.True(t, ok)
		require.Equal(t, &plugins.Event{At: 5, ID: record.ID, Owner: record.Owner, Change: heartbeat.StateChanged, From: heartbeat.Suspended, State: state.Shown(), Cause: record.Cause, LastBeat: 1e18, Interval: 60, Window: 180,
			Made: 1e18, Attributes: record.Attributes, Size: len(op.KeyBytes()) + len(told)}, e)
	}
}

// An event is read by the outbox, by the history and by each Tidy: what that takes is garbage at once.
func TestToReadWhatIsStoredAllocatesLittle(t *testing.T) {
	value, told, op := writtenValues(t, &usualRecord, heartbeat.Added)
	kv := &mvccpb.KeyValue{Key: op.KeyBytes(), Value: []byte(told)}
	objects := map[string]float64{
		"an event": testing.AllocsPerRun(100, func() {
			if _, ok := decodeEvent(kv); !ok {
				t.Fatal(told)
			}
		}),
		"an event, by encoding/json": testing.AllocsPerRun(100, func() {
			var e event
			if err := json.Unmarshal(kv.Value, &e); err != nil {
				t.Fatal(err)
			}
		}),
		"a record": testing.AllocsPerRun(100, func() {
			var v recordValue
			if !quickRecord([]byte(value), &v) {
				t.Fatal(value)
			}
		}),
	}
	t.Log(objects)
	require.LessOrEqual(t, objects["an event"], 12.0, "by encoding/json it was 19")
	require.LessOrEqual(t, objects["a record"], 9.0, "by encoding/json it was 19")
}

func BenchmarkStoredValues(b *testing.B) {
	record, told, op := writtenValues(b, &usualRecord, heartbeat.Added)
	kv, value := &mvccpb.KeyValue{Key: op.KeyBytes(), Value: []byte(told)}, []byte(record)
	for _, c := range []struct {
		name string
		read func() error
	}{
		{"record/quick", func() error { _, _, err := readRecord(value); return err }},
		{"record/json", func() error { var v recordValue; _, err := decode(value, &v); return err }},
		{"event/quick", func() error { _, err := readEvent(kv.Value); return err }},
		{"event/json", func() error { var e event; return json.Unmarshal(kv.Value, &e) }},
		{"event/decoded", func() error {
			if _, ok := decodeEvent(kv); !ok {
				return heartbeat.ErrUnusable
			}
			return nil
		}},
		{"projected", func() error { _, err := project(&usualRecord); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
