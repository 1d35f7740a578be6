//go:build unix

package plugins

import "syscall"

// openFiles is how many file descriptors the process may have; 0: unknown. Go itself has
// raised the soft limit to the hard one when it started.
func openFiles() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur) //nolint:unconvert // it is signed on some systems
}
