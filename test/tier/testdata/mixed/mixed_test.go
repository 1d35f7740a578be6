// Package mixed stands for a package with a quick test and a long one. It knows only
// that the long one fails when it runs.
package mixed

import (
	"testing"

	"github.com/mec-liveness/mepserver/test/tier"
)

func TestQuick(*testing.T) {}

func TestLong(t *testing.T) {
	tier.Long(t, "test/tier/testdata/mixed", "always fails")
	t.Fatal("it ran")
}
