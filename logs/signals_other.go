//go:build !unix

package logs

import "os"

func outputSignals() []os.Signal { return nil }
