package report

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Begin and End are the lines of a document between which Replace writes.
const (
	Begin = "<!-- measured, written by `go run ./test/bench suite -write` -->"
	End   = "<!-- end of what was measured -->"
)

// Replace writes text between the markers of a document.
func Replace(document, text string) (string, error) {
	before, rest, began := strings.Cut(document, Begin+"\n")
	_, after, ended := strings.Cut(rest, End)
	if !began || !ended {
		return "", errors.New("the document has no markers to write between")
	}
	return before + Begin + "\n" + text + End + after, nil
}

// Machine says in one line on what was measured.
func Machine() string {
	memory := "memory unknown"
	if kib := field("/proc/meminfo", "MemTotal"); kib != "" {
		var n int64
		if _, err := fmt.Sscanf(kib, "%d kB", &n); err == nil {
			memory = fmt.Sprintf("%.0f GB of memory", float64(n)/(1<<20))
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	virtual := ""
	if strings.Contains(" "+field("/proc/cpuinfo", "flags")+" ", " hypervisor ") {
		virtual = ", a virtual machine"
	}
	return fmt.Sprintf("%d × %s%s; %s; %s %s; %s", runtime.NumCPU(), cmp.Or(field("/proc/cpuinfo", "model name"), runtime.GOARCH), virtual, memory,
		runtime.GOOS, cmp.Or(major(strings.TrimSpace(string(kernel))), "of unknown release"), runtime.Version())
}

// major is the release of a kernel without who has built it.
func major(release string) string {
	release, _, _ = strings.Cut(release, "-")
	return release
}

// field is the first value of that name in a file of /proc.
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Named is a distribution with its name.
type Named struct {
	Name string
	Hist *hdrhistogram.Histogram
}

// Log is distributions in HdrHistogram's log format, microseconds, each with its name as tag:
// its tools read it.
func Log(began time.Time, all []Named) ([]byte, error) {
	var b bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&b)
	err := errors.Join(w.OutputLogFormatVersion(), w.OutputStartTime(began.UnixMilli()), w.OutputLegend())
	for _, n := range all {
		n.Hist.SetTag(strings.NewReplacer(" ", "_", ",", "").Replace(n.Name))
		n.Hist.SetStartTimeMs(began.UnixMilli())
		n.Hist.SetEndTimeMs(began.UnixMilli())
		err = errors.Join(err, w.OutputIntervalHistogram(n.Hist))
	}
	return b.Bytes(), err
}
