package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxSlots is how many agents of one group get a place of their own in a network
// namespace. Another one's place is random: after its crash it is taken for a new agent.
const maxSlots = 64

// takePlace takes the first free slot of a group of agents in this network namespace. The
// containers of a pod share one, and it outlives theirs. A slot is the name of an abstract
// Unix socket: the kernel frees it when the process is gone, however it went. Nobody can
// connect to it.
func takePlace(group string) (string, io.Closer) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return randomName(), nil
	}
	namespace, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return randomName(), nil
	}
	sum := sha256.Sum256([]byte(group))
	for slot := range maxSlots {
		name := fmt.Sprintf("@mep-agent/%s/%d", hex.EncodeToString(sum[:16]), slot)
		if held := bindName(name); held != nil {
			return placeName(strings.TrimSpace(string(boot)), namespace, group, slot), held
		}
	}
	return randomName(), nil
}

// bindName binds an abstract socket name; nil: it is taken, or sockets are forbidden here. No
// child of the process inherits the socket, which would hold the name for longer.
func bindName(name string) *os.File {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), name)
	if syscall.Bind(fd, &syscall.SockaddrUnix{Name: name}) != nil {
		_ = f.Close() // nothing was written
		return nil
	}
	return f
}
