package etcd

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// RunTime is how long the platform has run over all its starts, so that a silence which was
// observed before a start counts after it. It is a file beside the embedded store and no
// key, for it is written every second; a restored store begins without one. What a crash
// loses of it does not count.
type RunTime struct{ file string }

// runTimeFormat has one length, so that each write replaces the one before, and the number
// twice: a torn write has two that differ, and is not believed.
const runTimeFormat = "%019d %019d\n"

// NewRunTime is that of the embedded store in a data directory.
func NewRunTime(dataDir string) RunTime { return RunTime{filepath.Join(Dir(dataDir), "run-time")} }

// Load is what was kept last; 0: nothing that can be believed.
func (r RunTime) Load() time.Duration {
	b, err := os.ReadFile(r.file)
	if err != nil {
		return 0
	}
	var n, again int64
	if _, err := fmt.Sscanf(string(b), "%d %d\n", &n, &again); err != nil || n != again || n < 0 {
		return 0
	}
	return time.Duration(n)
}

// Save notes how long it is by now. An error makes deaths be found later after a restart,
// and nothing else.
func (r RunTime) Save(ran time.Duration) {
	f, err := os.OpenFile(r.file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = f.WriteAt(fmt.Appendf(nil, runTimeFormat, ran, ran), 0)
}
