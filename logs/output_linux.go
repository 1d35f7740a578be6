package logs

import (
	"os"
	"strconv"
	"syscall"
)

// ownDescription returns a descriptor for f that only the log uses. What the Go runtime itself
// writes to f, the trace of a crash, fails from then on instead of blocking: otherwise a
// process that crashes would hang on a full pipe. It changes nothing unless f is a pipe.
func ownDescription(f *os.File) *os.File {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return f
	}
	raw, err := f.SyscallConn() // f.Fd would change the flags that others see
	if err != nil {
		return f
	}
	own := -1
	if err := raw.Control(func(fd uintptr) { own = separate(int(fd)) }); err != nil || own < 0 {
		return f
	}
	return os.NewFile(uintptr(own), f.Name())
}

// separate returns a copy of fd, and puts a non-blocking descriptor of the same pipe in the
// place of fd; -1 if it could not.
func separate(fd int) int {
	// opened anew: the flag belongs to the open description, which other processes share
	fresh, err := syscall.Open("/proc/self/fd/"+strconv.Itoa(fd), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer func() { _ = syscall.Close(fresh) }()
	own, err := syscall.Dup(fd)
	if err != nil {
		return -1
	}
	syscall.CloseOnExec(own)
	if err := syscall.Dup3(fresh, fd, 0); err != nil {
		_ = syscall.Close(own)
		return -1
	}
	return own
}
