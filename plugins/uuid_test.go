package plugins

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARandomUUIDSaysThatItIsOne(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewUUID()
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		require.False(t, seen[id])
		seen[id] = true
	}
}
