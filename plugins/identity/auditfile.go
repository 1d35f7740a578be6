package identity

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mec-liveness/mepserver/conf"
)

// auditFile appends to a file. One that was moved away or removed, as those who rotate logs do,
// is made anew at the next line. It is used by one goroutine at a time.
type auditFile struct {
	path string
	f    *os.File
}

// openAudit opens or makes the file, with mode 0600 if it makes it.
func openAudit(path string) (*auditFile, error) {
	a := &auditFile{path: path}
	return a, a.open()
}

func (a *auditFile) open() (err error) {
	// without O_NONBLOCK a pipe that has no reader would hold the start up for ever
	a.f, err = os.OpenFile(a.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	return err
}

// AuditFile is the rule that the file of the audit log can be written. It makes no file.
func AuditFile() conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		if c.Audit.File == "" {
			return
		}
		f, err := os.OpenFile(c.Audit.File, os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			_ = f.Close()
			return
		}
		if errors.Is(err, os.ErrNotExist) {
			if _, err = os.Stat(filepath.Dir(c.Audit.File)); err == nil {
				return
			}
		}
		fault("audit.file", "cannot be written: %v", err)
	}
}

// Write implements io.Writer. p is one line.
func (a *auditFile) Write(p []byte) (int, error) {
	if a.moved() {
		if a.f != nil {
			_ = a.f.Close() // every line was written
			a.f = nil
		}
		if err := a.open(); err != nil {
			return 0, err
		}
	}
	return a.f.Write(p)
}

// moved says whether the path names another file than the one that is open, or none.
func (a *auditFile) moved() bool {
	if a.f == nil {
		return true
	}
	is, err := a.f.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(a.path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return !os.SameFile(is, named)
}

// Close implements io.Closer.
func (a *auditFile) Close() error {
	if a.f == nil {
		return nil
	}
	return a.f.Close()
}
