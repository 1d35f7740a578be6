package etcd

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// RunTime keeps how long the platform has run over all its starts, beside the embedded
// store: a silence that was observed before a start counts after it. It is a file and no
// key, for it is written every second; it lies with the store's files and not in them, so
// that a restored store begins anew. What a crash loses of it counts for nothing.
type RunTime struct{ file string }

// runTimeFormat has one length, so that a write replaces all there was, and says it twice,
// so that one that was torn is not believed.
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
