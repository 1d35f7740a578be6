package etcd

import (
	"github.com/go-chassis/openlog"
	"go.uber.org/zap/zapcore"

	"github.com/mec-liveness/mepserver/logs"
)

// zapSink is a zap core that writes etcd's errors into our log, as warnings.
type zapSink struct{ log *logs.Repeats }

// Enabled implements zapcore.Core.
func (z zapSink) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }

// With implements zapcore.Core.
func (z zapSink) With([]zapcore.Field) zapcore.Core { return z }

// Sync implements zapcore.Core.
func (z zapSink) Sync() error { return nil }

// Check implements zapcore.Core.
func (z zapSink) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) {
		return c.AddCore(e, z)
	}
	return c
}

// harmlessLines are what etcd says at the first start of a store, although all is as it
// should be.
var harmlessLines = map[string]bool{
	"Failed to detect storage schema version. Please wait till wal snapshot before upgrading cluster.": true,
	"failed to update storage version": true, // the same, a moment later
}

// Write implements zapcore.Core.
func (z zapSink) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if harmlessLines[e.Message] {
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
