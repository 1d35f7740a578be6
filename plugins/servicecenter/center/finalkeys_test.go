package center

import (
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// A key is judged by its segments; a form that service-center would not make is
// refused, whoever asked for it in whatever way.
func TestFinalKeysAreJudgedByTheirSegments(t *testing.T) {
	const id, dp = "0123456789abcdef0123456789abcdef", "default/default/"
	put := func(key, value string) client.PluginOp {
		return client.OpPut(client.WithStrKey(key), client.WithStrValue(value))
	}
	below := func(key string) client.PluginOp { return client.OpDel(client.WithStrKey(key), client.WithPrefix()) }
	named := keys.ServiceIDAt("/cse-sr/ms/indexes/" + dp + "/app/name/1.0.0")
	for _, c := range []struct {
		op   client.PluginOp
		want []string
	}{
		{put("/cse-sr/ms/files/"+dp+id, "{}"), []string{id}},
		{put("/cse-sr/ms/indexes/"+dp+"/app/name/1.0.0", id), []string{named, id}},
		{put("/cse-sr/ms/alias/"+dp+"/app/name/1.0.0", "x"), []string{named}},
		{put("/cse-sr/inst/files/"+dp+id+"/i", "{}"), []string{id}},
		{put("/cse-sr/inst/leases/"+dp+id+"/i", "1"), []string{id}},
		{put("/cse-sr/ms/rules/"+dp+id+"/r", "{}"), []string{id}},
		{put("/cse-sr/ms/rule-indexes/"+dp+id+"/tag_a/a/b/.*", "r"), []string{id}},
		{put("/cse-sr/ms/dep-rules/"+dp+"c//app/name/1.0.0", "{}"), []string{named}},
		{put("/cse-sr/ms/dep-queue/"+dp+"x/0", `{"consumer":{"appId":"app","serviceName":"name","version":"1.0.0"}}`), []string{named}},
		{below("/cse-sr/inst/files/" + dp + id + "/"), []string{id}},
	} {
		var s subject
		require.True(t, s.add(&c.op), "%s", c.op.Key)
		require.Equal(t, c.want, s.services, "%s", c.op.Key)
	}
	for _, c := range []client.PluginOp{
		put("/cse-sr/ms/files/"+dp+"own", "{}"), put("/cse-sr/ms/files/other/default/"+id, "{}"), put("/cse-sr/domains/d", ""), put("/cse-sr/projects/d/p", ""),
		put("/cse-sr/sys", "{}"), put("/cse/etcdsync/cse-sr/lock/global", "x"), put("/cse-sr/ms/dep-rules/"+dp+"p//app/name/latest", "{}"),
	} {
		var s subject
		require.True(t, s.add(&c), "%s", c.Key)
		require.Empty(t, s.services, "%s", c.Key)
	}
	for _, c := range []client.PluginOp{
		put("/mep/rec/x", ""), put("/mep/own/"+id, ""), put("/cse-sr", ""), put("x", ""),
		put("/cse-sr/ms/files/"+dp+"own/"+id, "{}"), put("/cse-sr/ms/files//"+id, "{}"), put("/cse-sr/ms/files///"+id, "{}"),
		put("/cse-sr/ms/files/"+dp, "{}"), put("/cse-sr/ms/files/"+dp+"..", "{}"), put("/cse-sr/ms/files/"+dp+"a\x00", "{}"), put("/cse-sr/ms/files/"+dp+"\xff", "{}"),
		put("/cse-sr/inst/files/"+dp+"own/x/"+id, "{}"), put("/cse-sr/inst/files/"+dp+"own/../"+id+"/i", "{}"), put("/cse-sr/inst/files/"+dp+"own/", "{}"),
		put("/cse-sr/ms/indexes/"+dp+"/app/a/name/1.0.0", "x"), put("/cse-sr/ms/dep-queue/"+dp+"x/0", `{}`), put("/cse-sr/ms/dep-queue/"+dp+"x/0", `{"consumer":{},"providers":[null]}`),
		put("/cse-sr/ms/other/"+dp+id, ""), put("/cse-sr/accounts/root", ""), put("/cse-sr/domains/a/b/..", ""), put("/cse-sr/ms/dep-rules/"+dp+"q//a/b/1", ""),
		below("/cse-sr/"), below("/cse-sr/inst/files/" + dp), below("/cse-sr/inst/files/" + dp + id), below("/cse-sr/ms/files/" + dp + id), below("/"),
		client.OpDel(client.WithStrKey("/cse-sr/a"), client.WithStrEndKey("/cse-sr/b")), client.OpDel(client.WithStrKey("/cse-sr/domains/default")),
	} {
		var s subject
		require.False(t, s.add(&c), "%q %v", c.Key, c.Prefix)
	}
}
