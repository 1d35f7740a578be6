package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAnApplicationIsRegisteredReadChangedAndRemoved(t *testing.T) {
	ctx := t.Context()
	const body = `{"appName":"face","appInstanceId":"chosen"}`
	for _, prefix := range []string{"", "/mep"} {
		root := prefix + mp1.AppSupportBase + "/registrations"
		var tag string
		p := newFakePlatform(t, respond(201, body, "ETag", `"1"`))
		made, err := p.client(t, prefix).RegisterApplication(ctx, mp1.AppInfo{AppName: "face"}, ETag(&tag))
		require.NoError(t, err)
		require.Equal(t, mp1.AppInfo{AppName: "face", AppInstanceID: "chosen"}, made)
		require.Equal(t, "POST "+root, p.method+" "+p.uri)
		require.JSONEq(t, `{"appName":"face"}`, p.body)
		require.Equal(t, `"1"`, tag)

		p = newFakePlatform(t, respond(200, body))
		read, err := p.client(t, prefix).Registration(ctx, "chosen")
		require.NoError(t, err)
		require.Equal(t, made, read)
		require.Equal(t, "GET "+root+"/chosen", p.method+" "+p.uri)

		p = newFakePlatform(t, respond(204, ""))
		require.NoError(t, p.client(t, prefix).UpdateApplication(ctx, "chosen", made))
		require.Equal(t, "PUT "+root+"/chosen", p.method+" "+p.uri)
		require.JSONEq(t, body, p.body)
		require.NoError(t, p.client(t, prefix).DeregisterApplication(ctx, "chosen"))
		require.Equal(t, "DELETE "+root+"/chosen", p.method+" "+p.uri)
	}
	_, err := newFakePlatform(t, respond(409, "")).client(t, "").RegisterApplication(ctx, mp1.AppInfo{})
	require.ErrorIs(t, err, ErrConflict)
	p := newFakePlatform(t, respond(204, ""))
	_, err = p.client(t, "").Registration(ctx, "a/b")
	require.Error(t, err)
	require.Error(t, p.client(t, "").UpdateApplication(ctx, "..", mp1.AppInfo{}))
	require.Error(t, p.client(t, "").DeregisterApplication(ctx, ""))
	require.Empty(t, p.method, "nothing was sent")
}
