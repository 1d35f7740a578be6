package etcd

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mec-liveness/mepserver/logs"
)

// startEtcd is embed.StartEtcd, which panics at some faults of the directory.
func startEtcd(cfg *embed.Config) (e *embed.Etcd, err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, err = nil, asError(p); err == nil {
				err = errors.New(logs.Clean(fmt.Sprint(p)))
			}
		}
	}()
	return embed.StartEtcd(cfg)
}

func asError(p any) error {
	err, _ := p.(error) //nolint:errcheck // no assertion: nil is an answer
	return err
}

// startLog is etcd's logger. When etcd logs that it cannot go on, zap by itself would panic
// or end the process on a goroutine of etcd's, where nobody can recover: dozens of lines of
// trace, and the line that says why still in the log's queue. As zap's hook it calls fail
// with that line instead.
//
// As zap's core it buffers what etcd logs while the store is being opened: if that fails,
// one line says why, and not one for every part of etcd that the error passes.
type startLog struct {
	zapSink
	dir  string
	fail func(why string)

	mu       sync.Mutex
	opened   bool
	buffered []func()
}

// maxBuffered is the most lines that are held back.
const maxBuffered = 64

// logger is a logger for etcd. Without fail, zap ends the process as it does by itself.
func (l *startLog) logger() *zap.Logger {
	if l.fail == nil {
		return zap.New(l.zapSink)
	}
	return zap.New(l, zap.WithPanicHook(l), zap.WithFatalHook(l))
}

// With implements zapcore.Core.
func (l *startLog) With([]zapcore.Field) zapcore.Core { return l }

// Check implements zapcore.Core.
func (l *startLog) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return c.AddCore(e, l)
	}
	return c
}

// Write implements zapcore.Core.
func (l *startLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level > zapcore.ErrorLevel {
		return nil // OnWrite follows
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.opened:
		return l.zapSink.Write(e, fields)
	case len(l.buffered) < maxBuffered:
		l.buffered = append(l.buffered, func() { _ = l.zapSink.Write(e, fields) })
	}
	return nil
}

// open writes what was buffered: the store is open.
func (l *startLog) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
	for _, write := range l.buffered {
		write()
	}
	l.buffered = nil
}

// OnWrite implements zapcore.CheckWriteHook.
func (l *startLog) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errors.New(logs.Clean(e.Message))
	for _, f := range fields {
		if cause, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	}
	l.mu.Lock()
	what := "the store cannot go on"
	if !l.opened {
		what = "cannot open the store"
	}
	l.mu.Unlock()
	l.fail(storeFault(what, l.dir, err).Error())
	runtime.Goexit() // etcd does not expect to come back here
}

// storeFault is the one line that says what is wrong with the store in dir, and what to do.
func storeFault(what, dir string, err error) error {
	err = oneLine{err}
	if a := remedy(err); a != "" {
		return fmt.Errorf("%s in %s: %w; %s%s", what, dir, err, a, whose(dir, err))
	}
	return fmt.Errorf("%s in %s: %w", what, dir, err)
}

// oneLine is an error whose text may have been made of many lines.
type oneLine struct{ error }

func (o oneLine) Unwrap() error { return o.error }
func (o oneLine) Error() string {
	return strings.Join(strings.Fields(logs.Clean(o.error.Error())), " ")
}

// remedies say what an operator can do, by the error of the operating system.
var remedies = []struct {
	is   []syscall.Errno
	then string
}{
	{[]syscall.Errno{syscall.ENOMEM}, "it maps the whole database into memory: raise the limit of the address space (ulimit -v) or lower store.quotaBytes"},
	{[]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}, "make space on that disk; nothing that was acknowledged is lost"},
	{[]syscall.Errno{syscall.EROFS}, "the file system is read-only: mount it for writing or choose another --data-dir"},
	{[]syscall.Errno{syscall.EACCES, syscall.EPERM}, "give this user the directory and all that is in it, or choose another --data-dir"},
	{[]syscall.Errno{syscall.EMFILE, syscall.ENFILE}, "raise the limit of open files (ulimit -n)"},
	{[]syscall.Errno{syscall.EFBIG}, "raise the limit of the size of files (ulimit -f)"},
	{[]syscall.Errno{syscall.ENOTDIR, syscall.EEXIST}, "a file is where a directory must be: move it away or choose another --data-dir"},
	{[]syscall.Errno{syscall.EISDIR}, "a directory is where a file must be: move it away or choose another --data-dir"},
	{[]syscall.Errno{syscall.EIO}, "the disk fails: look into the system's log, and restore a copy of the directory"},
}

func remedy(err error) string {
	for _, r := range remedies {
		for _, is := range r.is {
			if errors.Is(err, is) {
				return r.then
			}
		}
	}
	return ""
}
