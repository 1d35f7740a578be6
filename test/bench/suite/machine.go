package suite

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

// available is how much memory the machine has left, in bytes; 0: nobody knows.
func available() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "MemAvailable:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}

// others is how much of the machine's processors somebody else takes: figures of a machine that
// does something else say little.
type others struct {
	began      time.Time
	busy, ours time.Duration
}

func watchOthers() *others { return &others{time.Now(), busy(), ours()} }

// share is what others took since then, in words. Processes that still run are not ours yet.
func (o *others) share() string {
	now := busy()
	if now == 0 {
		return "an unknown share"
	}
	other := max(now-o.busy-(ours()-o.ours), 0)
	return fmt.Sprintf("%.0f %%", 100*other.Seconds()/time.Since(o.began).Seconds()/float64(runtime.NumCPU()))
}

// busy is the processor time that all processes have used; 0: nobody knows.
func busy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, wait, irq, soft, steal int64
	if _, err := fmt.Sscanf(string(b), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &soft, &steal); err != nil {
		return 0
	}
	return time.Duration(user+nice+system+irq+soft+steal) * 10 * time.Millisecond // ticks of 1/100 s
}

// ours is the processor time of this process and of those that it has started and that have ended.
func ours() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return load.OwnCPU() + time.Duration(u.Utime.Nano()+u.Stime.Nano())
}
