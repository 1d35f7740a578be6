// Package printed holds what documents show of tables in the code: each is printed into its
// document by a test, and compared from then on. It must not know what the tables mean.
package printed

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Compare fails t unless the document shows want between the two comments that name what it
// is, the package and the test; with update it writes want there.
func Compare(t testing.TB, update bool, document, what, pkg, want string) {
	t.Helper()
	begin := fmt.Sprintf("<!-- the %s, printed by `go test %s -run %s -update` -->\n", what, pkg, t.Name())
	end := fmt.Sprintf("<!-- end of the %s -->\n", what)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	shown, after, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		t.Fatalf("%s has no place for the %s: %q ... %q", document, what, begin, end)
	case shown == want:
	case !update:
		t.Fatalf("%s shows another %s than the code has; run this test with -update.\nthe code's:\n%s", document, what, want)
	default:
		if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
