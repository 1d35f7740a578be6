package logs

import "strings"

// Stack is a goroutine's stack as runtime/debug prints it. In the log it is one value,
// of the functions' names and lines alone, and at most 1 kB.
type Stack string

const maxStack = 1 << 10

// String is the stack in the form of the log.
func (s Stack) String() string {
	var b strings.Builder
	for l := range strings.Lines(string(s)) {
		l = strings.TrimSpace(l)
		if file, _, ok := strings.Cut(l, " +0x"); ok { // of a function's two lines, the second
			l = file
		} else if strings.HasPrefix(l, "goroutine ") || !strings.Contains(l, ".go:") {
			continue
		}
		if at := strings.LastIndexByte(l, '/'); at >= 0 {
			if before := strings.LastIndexByte(l[:at], '/'); before >= 0 {
				l = l[before+1:]
			}
		}
		l = Clean(l)
		if b.Len()+len(l)+1 > maxStack {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l)
	}
	return b.String()
}
