// Package quiet keeps the about hundred lines that service-center and its libraries
// print while they are being imported away from the user. It must import nothing
// that needs net/http: Go initialises it before whatever does, only because it is ready
// earlier and its path sorts before net/http's.
package quiet

import (
	"os"

	"github.com/go-chassis/openlog"
)

var stdout, stderr = os.Stdout, os.Stderr

// There is no other moment: whoever logs in an init takes os.Stdout as it is then, and
// a goroutine that archaius starts there logs later, when the outputs may be back.
func init() { //nolint:gochecknoinits // see above
	openlog.SetLogger(nowhere{})
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stdout, os.Stderr = null, null
	}
}

// Over puts the real outputs back. openlog stays quiet until it gets another logger.
func Over() { os.Stdout, os.Stderr = stdout, stderr }

// nowhere is a logger of openlog that drops everything.
type nowhere struct{}

// Debug implements openlog.Logger.
func (nowhere) Debug(string, ...openlog.Option) {}

// Info implements openlog.Logger.
func (nowhere) Info(string, ...openlog.Option) {}

// Warn implements openlog.Logger.
func (nowhere) Warn(string, ...openlog.Option) {}

// Error implements openlog.Logger.
func (nowhere) Error(string, ...openlog.Option) {}

// Fatal implements openlog.Logger.
func (nowhere) Fatal(string, ...openlog.Option) {}
