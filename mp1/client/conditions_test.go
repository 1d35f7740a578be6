package client

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// versioned is a platform that has one thing, which changes with each PUT.
func versioned(t *testing.T, status int, body string) (c *Client, version *string) {
	t.Helper()
	tag := `"v1"`
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		if asked := r.Header.Get("If-Match"); asked != "" && asked != "*" && asked != tag {
			w.Header().Set("ETag", tag)
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		w.Header().Set("ETag", tag)
		if r.Method == http.MethodPut {
			tag = `"v2"`
		}
		respond(status, body)(w, r)
	})
	return p.client(t, ""), &tag
}

func TestAChangeIsRefusedWhenSomebodyElseWasFaster(t *testing.T) {
	c, _ := versioned(t, 200, serviceJSON)
	var tag string
	info, err := c.ApplicationService(t.Context(), "a", "id1", ETag(&tag))
	require.NoError(t, err)
	require.Equal(t, `"v1"`, tag)
	_, err = c.Update(t.Context(), "a", "id1", info, IfMatch(tag))
	require.NoError(t, err)
	_, err = c.Update(t.Context(), "a", "id1", info, IfMatch(tag), ETag(&tag))
	require.ErrorIs(t, err, ErrStale)
	require.Empty(t, tag, "it is not that of a refusal")
	_, err = c.Update(t.Context(), "a", "id1", info, IfMatch("*"))
	require.NoError(t, err)
	_, err = c.Update(t.Context(), "a", "id1", info)
	require.NoError(t, err, "without a condition it is carried out")

	c, _ = versioned(t, 204, "")
	for name, change := range map[string]func(...RequestOption) error{
		"Remove":                func(o ...RequestOption) error { return c.Remove(t.Context(), "a", "b", o...) },
		"Unsubscribe":           func(o ...RequestOption) error { return c.Unsubscribe(t.Context(), "/s", o...) },
		"UpdateApplication":     func(o ...RequestOption) error { return c.UpdateApplication(t.Context(), "a", mp1.AppInfo{}, o...) },
		"DeregisterApplication": func(o ...RequestOption) error { return c.DeregisterApplication(t.Context(), "a", o...) },
	} {
		require.ErrorIs(t, change(IfMatch(`"v0"`)), ErrStale, name)
		require.NoError(t, change(IfMatch("*")), name)
		require.NoError(t, change(), name)
	}
}

// A platform without ETags must not turn a conditional change into an unconditional one.
func TestAConditionWithoutAnETagSendsNothing(t *testing.T) {
	p := newFakePlatform(t, respond(204, ""))
	for _, tag := range []string{"", "v1", `"v1`, `v1"`, "\"a\nb\"", `"a"b"`, `"` + strings.Repeat("x", 2000) + `"`} {
		var bad *mp1.Invalid
		require.ErrorAs(t, p.client(t, "").Remove(t.Context(), "a", "b", IfMatch(tag)), &bad, tag)
		require.NotContains(t, bad.Error(), "v1")
	}
	require.Empty(t, p.method)
	for _, tag := range []string{`""`, `"v1"`, `W/"v1"`, "*"} {
		require.NoError(t, p.client(t, "").Remove(t.Context(), "a", "b", IfMatch(tag)))
	}
}

func TestAnETagThatIsNoneIsNotPassedOn(t *testing.T) {
	for _, sent := range []string{"", "v1", `"` + strings.Repeat("x", 2000) + `"`} {
		tag := "before"
		_, err := newFakePlatform(t, respond(200, serviceJSON, "ETag", sent)).client(t, "").Service(t.Context(), "id1", ETag(&tag))
		require.NoError(t, err)
		require.Empty(t, tag)
	}
}
