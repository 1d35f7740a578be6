package printed

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// failing notes that a comparison failed, and ends it as a test would be ended.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Fatal(...any)          { f.failed = true; runtime.Goexit() }
func (f *failing) Fatalf(string, ...any) { f.failed = true; runtime.Goexit() }

func fails(t *testing.T, update bool, document, want string) bool {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Compare(f, update, document, "table", "./p", want)
	}()
	<-done
	return f.failed
}

func TestADocumentThatShowsAnotherTableIsRefusedUntilItIsWritten(t *testing.T) {
	document := filepath.Join(t.TempDir(), "a.md")
	require.True(t, fails(t, true, document, "x\n"), "no document")
	require.NoError(t, os.WriteFile(document, []byte("text\n"), 0o600))
	require.True(t, fails(t, true, document, "x\n"), "no place in it")
	begin := "<!-- the table, printed by `go test ./p -run " + t.Name() + " -update` -->\n"
	require.NoError(t, os.WriteFile(document, []byte("a\n"+begin+"old\n<!-- end of the table -->\nb\n"), 0o600))
	require.True(t, fails(t, false, document, "x\n"), "another table")
	require.False(t, fails(t, true, document, "x\n"))
	require.False(t, fails(t, false, document, "x\n"))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Equal(t, "a\n"+begin+"x\n<!-- end of the table -->\nb\n", string(text), "what is around it stays")
}
