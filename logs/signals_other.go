//go:build !unix

package logs

import "os"

// outputSignals is empty: such systems have no signals for outputs.
func outputSignals() []os.Signal { return nil }
