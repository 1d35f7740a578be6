//go:build unix

package logs

import (
	"os"
	"syscall"
)

// outputSignals end a process that writes to a pipe whose reader is gone, and one whose
// log has reached the largest size of a file.
func outputSignals() []os.Signal { return []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ} }
