package heartbeat

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// There is an entry for every instance, and the runtime has no room for one between 768 and 896
// bytes: a field more, or a truth that stands alone between two numbers, is 13 MB of 100,000.
func TestAnEntryIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("skipped: another machine's words")
	}
	require.LessOrEqual(t, unsafe.Sizeof(entry{}), uintptr(768))
}
