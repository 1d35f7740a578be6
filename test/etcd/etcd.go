// Package etcd runs stock etcd servers for the tests, as child processes: it builds
// them from their own modules, starts clusters of one or three members, stops, pauses and
// restarts members by their process id, and keeps the history of what is written. It must
// not know mepserver.
package etcd

import (
	"testing"

	"github.com/mec-liveness/mepserver/test/built"
)

// Line is a release line of etcd; its module is the folder of that name in build/.
type Line string

// The release lines.
const (
	Current  Line = "etcd"   // 3.6
	Previous Line = "etcd35" // 3.5
)

// Binary builds the server of a line, as built.Module does, and returns its path.
func Binary(t testing.TB, line Line) string {
	t.Helper()
	return built.Module(t, "build/"+string(line), ".")
}
