package mp1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDs(t *testing.T) {
	for _, ok := range []string{"a", "0", "A.b_c-d", strings.Repeat("x", 128), "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"} {
		require.True(t, ValidID(ok), ok)
	}
	for _, bad := range []string{"", ".", "-a", "_a", "a/b", "a b", "..", "a\x00", "é", "１", strings.Repeat("x", 129), "a%2f", "a\n"} {
		require.False(t, ValidID(bad), bad)
	}
}
