// Package tier holds tests back that need more than Go, or more than seconds, until
// somebody asks for them. It knows the command line of a test and nothing of what is
// tested; it must not know the program.
//
// A tier is asked for by -run, -bench or -fuzz, or by a flag of its own such as -long:
//
//	go test ./...                     # holds it back
//	go test ./test/chaos -run .       # runs all of it
//	go test ./test/chaos -args -long  # too
package tier

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// asking are the flags of every test by which its caller says what is to run.
var asking = []string{"test.run", "test.bench", "test.fuzz", "test.list"}

// Asked tells whether the command line says what is to run: by a flag of package
// testing that chooses, or by any flag of the tested package's own.
func Asked() (asked bool) {
	if !flag.Parsed() {
		flag.Parse()
	}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || slices.Contains(asking, f.Name) {
			asked = true
		}
	})
	return asked
}

// Main is for the TestMain of a package of which every test belongs to a tier. folder
// is the package's, from the root; why goes on with "it". Asked for, it returns what
// run does, an exit code. Otherwise it says in one line what was not run, runs no test
// and returns 0; go test then shows the package as one with "no tests to run".
func Main(m *testing.M, folder, why string, run func() int) int {
	if Asked() {
		return run()
	}
	fmt.Println("not run:", sentence(folder, why, "."))
	// The warning that no test ran comes from package testing itself, for go test shows
	// nothing else of a package that passes.
	if err := flag.Set("test.run", "^$"); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// Long skips a test that is too long for its package, unless it is asked for. folder
// and why are as for Main.
func Long(t testing.TB, folder, why string) {
	t.Helper()
	if !Asked() {
		t.Skip("not run:", sentence(folder, why, t.Name()))
	}
}

func sentence(folder, why, run string) string {
	return fmt.Sprintf("%s, for it %s; to run it: go test ./%s -run %s", folder, why, folder, run)
}
