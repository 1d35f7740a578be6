package plugins

import (
	"strings"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/logs"
)

// serverLog writes what net/http itself logs, about a panic or a handshake, to our log. Its
// own logger would write lines of another form, and dozens for a panic.
type serverLog struct{ log *logs.Repeats }

// Write implements io.Writer; p is one message.
func (s serverLog) Write(p []byte) (int, error) {
	first, rest, _ := strings.Cut(strings.TrimSpace(string(p)), "\n")
	tags := openlog.Tags{"reason": first}
	if rest == "" {
		s.log.Warn("net/http "+logs.Kind(first), "the HTTP server had to say something", tags)
		return len(p), nil
	}
	tags["stack"] = logs.Stack(rest)
	s.log.Error("net/http "+logs.Kind(first), "a request made the HTTP server panic", tags)
	return len(p), nil
}
