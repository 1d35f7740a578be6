package servicecenter

import (
	"encoding/json"
	"strings"

	"github.com/go-chassis/openlog"
	"go.uber.org/zap/zapcore"

	"github.com/mec-liveness/mepserver/logs"
)

// What service-center says in everyday use although all is well: nobody watches its
// own events here, and its cache of consumers learns of a new service a moment later.
func everyday(message string) bool {
	return strings.HasPrefix(message, "publish event[") || strings.HasSuffix(message, "get cached provider's file failed")
}

// zapSink is a zap core that writes etcd's errors into our log, as warnings.
type zapSink struct{ log *logs.Repeats }

func (z zapSink) Enabled(l zapcore.Level) bool      { return l >= zapcore.ErrorLevel }
func (z zapSink) With([]zapcore.Field) zapcore.Core { return z }
func (z zapSink) Sync() error                       { return nil }
func (z zapSink) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) {
		return c.AddCore(e, z)
	}
	return c
}

// harmless is what etcd and service-center say at every start, or at the first of a
// store, although all is as it should be.
var harmless = map[string]bool{
	"Failed to detect storage schema version. Please wait till wal snapshot before upgrading cluster.": true,
	"failed to update storage version":        true, // the same, a moment later
	"no any plugin has been loaded":           true, // we load no shared objects
	"data source enable etcd mode":            true,
	"quota init, all resources are unlimited": true, // applications.maxServices is the limit
}

func (z zapSink) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if harmless[e.Message] {
		return nil
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	tags := openlog.Tags{"from": "etcd"}
	if reason, ok := enc.Fields["error"]; ok {
		tags["reason"] = reason
	}
	if e.Level > zapcore.ErrorLevel { // after which zap ends the process: it can write no more
		z.log.Error("etcd "+e.Message, "the store cannot go on: "+e.Message, tags)
		return nil
	}
	z.log.Warn("etcd "+e.Message, e.Message, tags)
	return nil
}

// facade is what go-chassis' own packages log through: warnings and worse. log nil
// is silence.
type facade struct{ log *logs.Repeats }

func (facade) Debug(string, ...openlog.Option) {}
func (facade) Info(string, ...openlog.Option)  {} // archaius tells every setting, with its value

func (f facade) Warn(m string, o ...openlog.Option) {
	if f.log == nil {
		return
	}
	tags := openlog.Tags{"from": "go-chassis"}
	if err := openlog.ToOptions(o...).Err; err != nil {
		tags["reason"] = err.Error()
	}
	f.log.Warn("go-chassis "+logs.Kind(m), m, tags)
}

func (f facade) Error(m string, o ...openlog.Option) { f.Warn(m, o...) }
func (f facade) Fatal(m string, o ...openlog.Option) { f.Warn(m, o...) }

// sclogSink takes the lines of service-center's log into ours. It logs an error for
// whatever it refuses to a client, one for each element of a list, so what it calls an
// error is a warning here, and repetitions are counted: those of one place in its source,
// for its messages hold text of the client's. Its panics are errors.
type sclogSink struct{ log *logs.Repeats }

func (s sclogSink) Sync() error { return nil }

// Write takes one event: as JSON, or for a panic a line and the stack below it.
func (s sclogSink) Write(p []byte) (int, error) {
	var e struct{ Level, Message, Error, Caller string }
	if json.Unmarshal(p, &e) != nil {
		e.Message = string(p)
		if f := strings.SplitN(e.Message, "\t", 4); len(f) == 4 && f[1] == "PANIC" {
			e.Caller, e.Message = f[2], "service-center panicked: "+f[3]
		}
	}
	message, below, _ := strings.Cut(strings.TrimSpace(e.Message), "\n")
	if message == "" || harmless[message] || everyday(message) { // a panic comes a second time, without message
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
