package servicecenter

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/go-chassis/openlog"
	"go.uber.org/zap/zapcore"
)

// What service-center says in everyday use although all is well: nobody watches its
// own events here, and its cache of consumers learns of a new service a moment later.
func everyday(message string) bool {
	return strings.HasPrefix(message, "publish event[") || strings.HasSuffix(message, "get cached provider's file failed")
}

// zapSink is a zap core that writes etcd's warnings into our log.
type zapSink struct{ log openlog.Logger }

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
		z.log.Error("the store cannot go on: "+e.Message, openlog.WithTags(tags))
		return nil
	}
	z.log.Warn(e.Message, openlog.WithTags(tags))
	return nil
}

// facade is what go-chassis' own packages log through: warnings and worse. log nil
// is silence.
type facade struct{ log openlog.Logger }

func (facade) Debug(string, ...openlog.Option) {}
func (facade) Info(string, ...openlog.Option)  {} // archaius tells every setting, with its value

func (f facade) Warn(m string, o ...openlog.Option) {
	if f.log != nil {
		f.log.Warn(m, o...)
	}
}

func (f facade) Error(m string, o ...openlog.Option) {
	if f.log != nil {
		f.log.Error(m, o...)
	}
}

func (f facade) Fatal(m string, o ...openlog.Option) { f.Error(m, o...) }

// sclogSink takes the lines of service-center's log into ours.
type sclogSink struct{ log openlog.Logger }

func (s sclogSink) Sync() error { return nil }

func (s sclogSink) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		var e struct{ Level, Message, Error, Caller string }
		if json.Unmarshal(line, &e) != nil {
			e.Level, e.Message = "WARN", string(bytes.TrimSpace(line))
		}
		if e.Message == "" || harmless[e.Message] || everyday(e.Message) {
			continue
		}
		tags := openlog.Tags{"from": "service-center"}
		if e.Error != "" {
			tags["reason"] = e.Error
		}
		if e.Level == "ERROR" || e.Level == "PANIC" {
			s.log.Error(e.Message, openlog.WithTags(tags))
		} else {
			s.log.Warn(e.Message, openlog.WithTags(tags))
		}
	}
	return len(p), nil
}
