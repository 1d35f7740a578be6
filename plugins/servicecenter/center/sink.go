package center

import (
	"encoding/json"
	"strings"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/logs"
)

// What service-center says in everyday use although all is well: nobody watches its
// own events here, and its cache of consumers learns of a new service a moment later.
func routine(message string) bool {
	return strings.HasPrefix(message, "publish event[") || strings.HasSuffix(message, "get cached provider's file failed")
}

// harmless is what service-center says at every start, although all is as it should be.
var harmless = map[string]bool{
	"no any plugin has been loaded":           true, // we load no shared objects
	"data source enable etcd mode":            true,
	"quota init, all resources are unlimited": true, // applications.maxServices is the limit
}

// chassisLogger is what go-chassis' own packages log through: warnings and worse. log nil
// is silence.
type chassisLogger struct{ log *logs.Repeats }

// Debug implements openlog.Logger.
func (chassisLogger) Debug(string, ...openlog.Option) {}

// Info implements openlog.Logger.
func (chassisLogger) Info(string, ...openlog.Option) {} // archaius tells every setting, with its value

// Warn implements openlog.Logger.
func (f chassisLogger) Warn(m string, o ...openlog.Option) {
	if f.log == nil {
		return
	}
	tags := openlog.Tags{"from": "go-chassis"}
	if err := openlog.ToOptions(o...).Err; err != nil {
		tags["reason"] = err.Error()
	}
	f.log.Warn("go-chassis "+logs.Kind(m), m, tags)
}

// Error implements openlog.Logger.
func (f chassisLogger) Error(m string, o ...openlog.Option) { f.Warn(m, o...) }

// Fatal implements openlog.Logger.
func (f chassisLogger) Fatal(m string, o ...openlog.Option) { f.Warn(m, o...) }

// scLogSink takes the lines of service-center's log into ours. It logs an error for
// whatever it refuses to a client, one for each element of a list, so what it calls an
// error is a warning here, and repetitions are counted: those of one place in its source,
// for its messages hold text of the client's. Its panics are errors.
type scLogSink struct{ log *logs.Repeats }

// Sync implements zapcore.WriteSyncer.
func (s scLogSink) Sync() error { return nil }

// Write takes one event: as JSON, or for a panic a line and the stack below it.
func (s scLogSink) Write(p []byte) (int, error) {
	var e struct{ Level, Message, Error, Caller string }
	if json.Unmarshal(p, &e) != nil {
		e.Message = string(p)
		if f := strings.SplitN(e.Message, "\t", 4); len(f) == 4 && f[1] == "PANIC" {
			e.Caller, e.Message = f[2], "service-center panicked: "+f[3]
		}
	}
	message, below, _ := strings.Cut(strings.TrimSpace(e.Message), "\n")
	if message == "" || harmless[message] || routine(message) { // a panic comes a second time, without message
		return len(p), nil
	}
	message, e.Error = withoutBody(message), withoutBody(e.Error)
	kind := "service-center " + e.Caller
	if e.Caller == "" {
		kind += logs.Kind(message)
	}
	tags := openlog.Tags{"from": "service-center"}
	if e.Caller != "" {
		tags["at"] = e.Caller
	}
	if e.Error != "" {
		tags["reason"] = e.Error
	}
	if stack := logs.Stack(below); stack.String() != "" {
		tags["stack"] = stack
		s.log.Error(kind, message, tags)
	} else {
		s.log.Warn(kind, message, tags)
	}
	return len(p), nil
}

// withoutBody takes the client's body out of a message, or what is quoted of it.
func withoutBody(s string) string {
	if strings.HasPrefix(s, "invalid json: ") {
		return "invalid json"
	}
	before, value, ok := strings.Cut(s, " invalid value '")
	if !ok {
		return s
	}
	if end := strings.LastIndex(value, "' does not match"); end >= 0 {
		return before + " invalid value" + value[end+1:]
	}
	return before + " invalid value"
}
