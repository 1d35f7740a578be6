package client

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestThePathOfAnHrefHoldsAtEveryEndpoint(t *testing.T) {
	for href, want := range map[string][2]string{
		"/a/b?x=1": {"/a/b?x=1", ""}, "/a%2Fb": {"/a%2Fb", ""}, "https://mep.example:1/a#f": {"/a", "mep.example:1"},
	} {
		path, host, err := HrefPath(href)
		require.NoError(t, err, href)
		require.Equal(t, want, [2]string{path, host})
	}
	for _, href := range []string{"", "a/b", "//evil.example/a", "https://user@h/a", "javascript:a", "https://h", "/%zz", "http:///a"} {
		_, _, err := HrefPath(href)
		require.Error(t, err, href)
	}
}

// EdgeGallery's server answers PATCH with 405 and accepts the same heartbeat by PUT.
func TestAHeartbeatIsPUTWhereThereIsNoPATCH(t *testing.T) {
	var methods []string
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
	c := p.client(t, "")
	for range 3 {
		_, err := c.Beat(context.Background(), "/l")
		require.NoError(t, err)
		require.Equal(t, `{"state":"ACTIVE"}`, p.body)
	}
	require.Equal(t, []string{"PATCH", "PUT", "PUT", "PUT"}, methods, "it is tried once")

	p = newFakePlatform(t, respond(405, ""))
	c = p.client(t, "")
	for range 2 {
		_, err := c.Beat(context.Background(), "/l")
		require.ErrorContains(t, err, "405")
	}
	require.False(t, c.putOnly.Load(), "where neither is there, PATCH stays the first")
}

func TestAnUpdateIsPUT(t *testing.T) {
	p := newFakePlatform(t, respond(200, serviceJSON))
	got, err := p.client(t, "/mep").Update(context.Background(), "a", "id1", mp1.ServiceInfo{SerInstanceID: "mine", SerName: "n", Links: &mp1.ServiceLinks{}})
	require.NoError(t, err)
	require.Equal(t, "id1", got.SerInstanceID)
	require.Equal(t, "PUT /mep"+mp1.Base+"/applications/a/services/id1", p.method+" "+p.uri)
	require.NotContains(t, p.body, "mine")
	require.NotContains(t, p.body, "_links")
	for _, bad := range [][2]string{{"a/b", "x"}, {"a", ".."}} {
		_, err := p.client(t, "").Update(context.Background(), bad[0], bad[1], mp1.ServiceInfo{})
		require.Error(t, err)
	}
}
