package plugins

import (
	"io"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/logs"
)

// NewLog is logs.New, so that a plugin needs to import no more than this package.
func NewLog(w io.Writer, level string) openlog.Logger { return logs.New(w, level) }

// Clean is logs.Clean, which makes a value from outside safe for the log.
func Clean(s string) string { return logs.Clean(s) }
