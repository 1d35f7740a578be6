package events

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// The ring has an entry for each of the last changes, whether anybody reads them or not.
func TestAChangeThatNobodyReadsIsNotEncoded(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		require.LessOrEqual(t, unsafe.Sizeof(entry{}), uintptr(80))
		require.LessOrEqual(t, unsafe.Sizeof(item{}), uintptr(24))
		require.LessOrEqual(t, unsafe.Sizeof(description{}), uintptr(48), "of a service 160 would be kept")
	}
	e, err := newEntry(&plugins.Event{At: 7, ID: "a", Owner: "app", Change: heartbeat.Added, State: heartbeat.Active, Attributes: `{"serName":"s"}`}, nil, true)
	require.NoError(t, err)
	require.Nil(t, e.frames.Load())
	require.Empty(t, e.of.Attributes, "they were read")
	text := e.frame(changed)
	require.Contains(t, string(text), `"serName":"s"`)
	require.Same(t, &text[0], &e.frame(changed)[0], "it is encoded once for all readers")
	require.NotEqual(t, string(text), string(e.frame(entered)))
}
