// Package quiet keeps the about hundred lines that service-center and its libraries
// print while they are being imported away from the user. It must import nothing
// that needs net/http: Go initialises it before whatever does, only because it is ready
// earlier and its path sorts before net/http's.
package quiet

import (
	"os"
	"sync/atomic"

	"github.com/go-chassis/openlog"
)

var stdout, stderr = os.Stdout, os.Stderr

// There is no other moment: whoever logs in an init takes os.Stdout as it is then, and
// a goroutine that archaius starts there logs later, when the outputs may be back. It
// would race with whoever set openlog's logger then.
func init() { //nolint:gochecknoinits // see above
	openlog.SetLogger(relay{})
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil { // a file system may have none: to a closed file nothing is written either
		var end *os.File
		if end, nowhere, err = os.Pipe(); err == nil {
			_, _ = end.Close(), nowhere.Close()
		}
	}
	if err == nil {
		os.Stdout, os.Stderr = nowhere, nowhere
	}
}

// Over puts the real outputs back. openlog stays quiet until LogTo.
func Over() { os.Stdout, os.Stderr = stdout, stderr }

// LogTo gives openlog a logger, at any time.
func LogTo(l openlog.Logger) { to.Store(&l) }

var to atomic.Pointer[openlog.Logger]

// relay is openlog's logger for as long as the process lives.
type relay struct{}

// Debug implements openlog.Logger.
func (relay) Debug(m string, o ...openlog.Option) {
	if l := to.Load(); l != nil {
		(*l).Debug(m, o...)
	}
}

// Info implements openlog.Logger.
func (relay) Info(m string, o ...openlog.Option) {
	if l := to.Load(); l != nil {
		(*l).Info(m, o...)
	}
}

// Warn implements openlog.Logger.
func (relay) Warn(m string, o ...openlog.Option) {
	if l := to.Load(); l != nil {
		(*l).Warn(m, o...)
	}
}

// Error implements openlog.Logger.
func (relay) Error(m string, o ...openlog.Option) {
	if l := to.Load(); l != nil {
		(*l).Error(m, o...)
	}
}

// Fatal implements openlog.Logger.
func (relay) Fatal(m string, o ...openlog.Option) {
	if l := to.Load(); l != nil {
		(*l).Fatal(m, o...)
	}
}
