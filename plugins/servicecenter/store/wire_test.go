package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// described is attributes whose endpoint has about n bytes of c.
func described(t *testing.T, c string, n int) string {
	t.Helper()
	info := storetest.Info(t)
	for range n / 500 {
		info.TransportInfo.Endpoint.URIs = append(info.TransportInfo.Endpoint.URIs, "http://10.0.0.5:80/?"+strings.Repeat(c, 480))
	}
	b, err := json.Marshal(info)
	require.NoError(t, err)
	return string(b)
}

func TestABodyIsStoredTwiceAndNotSevenTimesItsSize(t *testing.T) {
	for _, c := range []string{"x", "&", "<"} {
		r := storetest.NewRecord(t, store, "app-size")
		r.Attributes = described(t, c, 60_000)
		service, _, _ := keys.Split(r.ID)
		ops, err := operations(&heartbeat.Txn{Kind: heartbeat.Register, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added},
			&microservice{id: service, index: keys.IndexPrefix + "/a/b/1"}, nil) // its microservice is new, too
		require.NoError(t, err)
		require.Less(t, etcd.Cost(ops), int64(2.2*60_000), "of 60 kB of %q", c)
	}
}

func TestWhatTheReleaseBeforeWroteIsReadAsTheSame(t *testing.T) {
	r := storetest.NewRecord(t, store, "app-forms")
	r.Attributes = described(t, "&<>\u2028\\\\u003c\\\"", 2000)
	require.Contains(t, r.Attributes, `\u0026`, "as encoding/json has it")
	lean, err := encodeRecord(&r)
	require.NoError(t, err)
	require.NotContains(t, lean, `u0026`)
	before, err := json.Marshal((*storedRecord)(&r))
	require.NoError(t, err)
	for _, value := range []string{lean, string(before)} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(keys.Record(r.ID)), []byte(value)
		got, err := decodeRecord(kv)
		require.NoError(t, err)
		require.Equal(t, r, got, "in the one form in which attributes are compared")
	}
	var was storedRecord // the previous release reads the same service
	require.NoError(t, json.Unmarshal([]byte(lean), &was))
	var info, again mp1.ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(r.Attributes), &info))
	require.NoError(t, json.Unmarshal([]byte(was.Attributes), &again))
	require.Equal(t, info, again)

	p, err := project(&r)
	require.NoError(t, err)
	instance, err := p.instance()
	require.NoError(t, err)
	require.False(t, differs(&r, []byte(instance), false))
	require.False(t, differs(&r, []byte(canonical(instance)), false), "its projections are not repaired")
	require.True(t, differs(&r, []byte(strings.Replace(instance, "10.0.0.5", "10.0.0.6", 1)), false))
}

func TestUnescapedIsTheInverseOfCanonical(t *testing.T) {
	for _, plain := range []string{"", "a", `"<a>&"`, `"\\u003c"`, `"\\<"`, `"\"<"`, `"\\\\&"`, "\"\u2028\u2029\"", `"\u0007\u00e9<"`, `"\`} {
		escaped := canonical(plain)
		require.Equal(t, plain, unescaped(escaped))
		require.Equal(t, escaped, canonical(escaped))
	}
}

func TestAnEventCarriesWhatIsFilteredByAndNotHowAServiceIsReached(t *testing.T) {
	info := storetest.Info(t)
	info.SerCategory = &mp1.CategoryRef{ID: "c", Name: "n"}
	long, err := json.Marshal(info)
	require.NoError(t, err)
	require.Equal(t, string(long), eventAttributes(string(long)), "a short one as it is")
	for range 100 {
		info.TransportInfo.Endpoint.URIs = append(info.TransportInfo.Endpoint.URIs, "http://10.0.0.5:80/"+strings.Repeat("x", 100))
	}
	long, err = json.Marshal(info)
	require.NoError(t, err)
	short := eventAttributes(string(long))
	require.Less(t, len(short), smallEvent)
	var got mp1.ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(short), &got))
	info.TransportInfo = nil
	require.Equal(t, info, got)
	require.Equal(t, strings.Repeat("x", 5000), eventAttributes(strings.Repeat("x", 5000)), "what cannot be read is left to the reader")
}
