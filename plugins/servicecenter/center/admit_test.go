package center

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// Every deletion of a microservice through ServiceComb puts a note for its queue of
// dependencies, so that a store which was filled through ServiceComb could not be emptied
// there: each was a 507, also after a restart.
func TestAFullStoreCanBeEmptiedThroughServiceComb(t *testing.T) {
	tenant := "default/default/"
	put := func(key, value string) client.PluginOp {
		return client.OpPut(client.WithStrKey(key), client.WithStrValue(value))
	}
	service := "/cse-sr/ms/files/" + tenant + "admit-a"
	schema := "/cse-sr/ms/schemas/" + tenant + "admit-a/s" // of which no handler of service-center's hears
	queue := path.GenerateConsumerDependencyQueueKey("default/default", "admit-a", "0")
	lock := scLocks + "admit"
	request := `{"consumer":{"appId":"a","serviceName":"s","version":"1.0.0"},"providers":[],"override":true}`
	_, err := db.Put(t.Context(), schema, strings.Repeat("x", 100))
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, key := range []string{service, schema, queue, lock} {
			_, err := db.Delete(t.Context(), key)
			_ = err
		}
	})
	remove := client.OpDel(client.WithStrKey(service))
	for _, c := range []struct {
		name             string
		ops              []client.PluginOp
		at91, at96, at99 bool // of the quota in use: it is taken
	}{
		{"a deletion with its note", []client.PluginOp{remove, put(queue, request)}, true, true, true},
		{"a deletion with more than a note", []client.PluginOp{remove, put(queue, request), put(service, "new")}, false, false, false},
		{"a deletion with a long note", []client.PluginOp{remove, put(queue, strings.Replace(request, `"s"`, `"`+strings.Repeat("s", 3000)+`"`, 1))}, false, false, false},
		{"a note alone", []client.PluginOp{put(queue, request)}, true, false, false},
		{"a lock", []client.PluginOp{put(lock, "x")}, true, true, true},
		{"what shrinks", []client.PluginOp{put(schema, strings.Repeat("x", 99))}, true, true, true},
		{"what stays as large", []client.PluginOp{put(schema, strings.Repeat("y", 100))}, true, false, false},
		{"what grows", []client.PluginOp{put(schema, strings.Repeat("x", 101))}, false, false, false},
		{"what is new", []client.PluginOp{put(service, "x")}, false, false, false},
	} {
		for percent, taken := range map[int64]bool{91: c.at91, 96: c.at96, 99: c.at99} {
			_, err := db.Put(t.Context(), schema, strings.Repeat("x", 100))
			require.NoError(t, err)
			_, err = newRegistry(db.Client, etcdtest.Gate(percent), &etcd.Readers{}).Txn(t.Context(), c.ops)
			require.Equal(t, taken, err == nil, "%s at %d %%: %v", c.name, percent, err)
		}
	}

	// The limit may lie within the cost of a write; then, too, what frees is taken.
	edge := etcdtest.Gate(90)
	require.False(t, edge.Short(0) && !edge.Short(1<<20))
	_, err = newRegistry(db.Client, edge, &etcd.Readers{}).Txn(t.Context(), []client.PluginOp{remove, put(queue, request)})
	require.NoError(t, err)
}

// hanging is a store whose transactions end with their context only.
type hanging struct{ clientv3.KV }

func (h hanging) Txn(ctx context.Context) clientv3.Txn { return hangingTxn{ctx: ctx} }

type hangingTxn struct {
	clientv3.Txn
	ctx context.Context
}

func (h hangingTxn) If(...clientv3.Cmp) clientv3.Txn  { return h }
func (h hangingTxn) Then(...clientv3.Op) clientv3.Txn { return h }
func (h hangingTxn) Else(...clientv3.Op) clientv3.Txn { return h }
func (h hangingTxn) Commit() (*clientv3.TxnResponse, error) {
	<-h.ctx.Done()
	return nil, h.ctx.Err()
}

// What a full store is asked about a write, before it is taken or not, is bounded as the
// write is: service-center hands some on whose context never ends.
func TestAWriteToAFullStoreThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(&clientv3.Client{KV: hanging{}}, etcdtest.Gate(91), &etcd.Readers{})
		began := time.Now()
		put := client.OpPut(client.WithStrKey("/cse-sr/ms/schemas/default/default/admit-c/s"), client.WithStrValue("x"))
		_, err := r.TxnWithCmp(context.Background(), []client.PluginOp{put}, nil, nil)
		require.Error(t, err)
		require.Equal(t, requestTimeout, time.Since(began))
		began = time.Now()
		_, err = r.Do(context.Background(), client.PUT, client.WithStrKey("/cse-sr/ms/schemas/default/default/admit-c/s"), client.WithStrValue("x"))
		require.Error(t, err)
		require.Equal(t, requestTimeout, time.Since(began))
	})
}

// A consumer that asks for a provider for the first time is noted by service-center, with
// a write. That was a 500 to the question when the store was full.
func TestAQuestionIsAnsweredByAFullStore(t *testing.T) {
	key := path.GenerateConsumerDependencyQueueKey("default/default", "admit-b", "a_s")
	request := `{"consumer":{"appId":"a","serviceName":"s","version":"1.0.0"},"providers":[{"appId":"b","serviceName":"p","version":"1+"}]}`
	r := newRegistry(db.Client, etcdtest.Gate(99), &etcd.Readers{})
	res, err := r.TxnWithCmp(t.Context(), nil,
		[]client.CompareOp{client.OpCmp(client.CmpStrVal(key), client.CmpEqual, request)},
		[]client.PluginOp{client.OpPut(client.WithStrKey(key), client.WithStrValue(request))})
	require.NoError(t, err)
	require.False(t, res.Succeeded)
	got, err := db.Get(t.Context(), key, clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got.Count)
}

func TestServiceCentersWritesPassTheSameGate(t *testing.T) {
	r := newRegistry(db.Client, etcdtest.Gate(91), &etcd.Readers{})
	call := &apiCall{}
	ctx := context.WithValue(t.Context(), callKey{}, call)
	key := "/cse-sr/ms/tags/default/default/app-room"
	put := client.OpPut(client.WithStrKey(key), client.WithStrValue("x"))
	_, err := r.Do(ctx, client.PUT, client.WithStrKey(key), client.WithStrValue("x"))
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.Txn(ctx, []client.PluginOp{put})
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.PutNoOverride(ctx, client.WithStrKey(key), client.WithStrValue("x"))
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.Do(ctx, client.GET, client.WithStrKey(key))
	require.NoError(t, err)
	_, err = r.Do(ctx, client.DEL, client.WithStrKey(key))
	require.NoError(t, err)
	_, err = r.Txn(ctx, []client.PluginOp{client.OpDel(client.WithStrKey(key))})
	require.NoError(t, err)

	w := httptest.NewRecorder()
	(&refusalWriter{ResponseWriter: w, call: call}).WriteHeader(http.StatusInternalServerError)
	require.Equal(t, http.StatusInsufficientStorage, w.Code)
	require.Equal(t, "12", w.Header().Get("Retry-After"), "room is found after five to eleven seconds")
	require.Contains(t, w.Body.String(), `"errorCode":"507001"`)
}
