//go:build !linux

package operate

import "errors"

func fileSystem(string) (free uint64, kind string, err error) {
	return 0, "", errors.New("the file system is looked at on Linux only")
}
