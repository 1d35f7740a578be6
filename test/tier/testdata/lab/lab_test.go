// Package lab stands for a tier. It knows only that its tests fail when they run.
package lab

import (
	"flag"
	"os"
	"testing"

	"github.com/mec-liveness/mepserver/test/tier"
)

var _ = flag.Bool("long", false, "a flag of its own")

func TestMain(m *testing.M) {
	os.Exit(tier.Main(m, "test/tier/testdata/lab", "always fails", func() int {
		println("prepared")
		return m.Run()
	}))
}

func TestThatFails(t *testing.T) { t.Fatal("it ran") }

func BenchmarkThatFails(b *testing.B) { b.Fatal("it ran") }

func FuzzThatFails(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, _ int) { t.Fatal("it ran") })
}

func Example() {
	// Output: it ran
}
