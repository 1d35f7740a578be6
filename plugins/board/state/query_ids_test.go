package state

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Who looks at a few services of many asks for those.
func TestAQueryNamesTheServicesThatSomebodyLooksAt(t *testing.T) {
	q, err := parseQuery("id=a,b&limit=5")
	require.NoError(t, err)
	all, err := parseQuery("limit=5")
	require.NoError(t, err)
	for id, want := range map[heartbeat.ID]bool{"a": true, "b": true, "c": false} {
		r := row{place: place{id: id}}
		require.Equal(t, want, q.matches(&r), id)
		require.True(t, all.matches(&r), id)
	}
	for _, raw := range []string{"id=", "id=a,", "id=a%2Fb", "id=a&id=b"} {
		_, err := parseQuery(raw)
		var bad *mp1.Invalid
		require.True(t, errors.As(err, &bad), raw)
	}
}
