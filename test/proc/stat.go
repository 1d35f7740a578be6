package proc

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// OpenFiles is how many file descriptors the process has open; 0 where the system has no
// /proc.
func (p *Process) OpenFiles() int {
	all, _ := os.ReadDir(p.proc("fd"))
	return len(all)
}

// Memory is a figure of /proc/PID/status in bytes, for example VmRSS, which is resident
// now, or VmHWM, the most that ever was; 0 where the system has no /proc.
func (p *Process) Memory(figure string) int64 {
	b, _ := os.ReadFile(p.proc("status"))
	found := regexp.MustCompile(`(?m)^` + figure + `:\s+(\d+) kB$`).FindSubmatch(b)
	if found == nil {
		return 0
	}
	kib, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kib << 10
}

// CPU is the processor time that the process has used, in steps of 10 ms; 0 where the
// system has no /proc.
func (p *Process) CPU() time.Duration {
	b, _ := os.ReadFile(p.proc("stat"))
	// The name of the program, in parentheses, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s
}

// CommandLine is how the process was called, as every user of the system can see.
func (p *Process) CommandLine() string {
	b, _ := os.ReadFile(p.proc("cmdline"))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

func (p *Process) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", p.PID(), name) }
