//go:build !linux

package logs

import "os"

func ownDescription(f *os.File) *os.File { return f }
