package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// whose says as whom this process runs and to whom the directory belongs that it may not use,
// or the nearest above it that is there; "": err is about something else. Volumes keep the
// numbers of the image that wrote them.
func whose(dir string, err error) string {
	if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) {
		return ""
	}
	for {
		info, err := os.Stat(dir)
		if err == nil {
			if is, ok := info.Sys().(*syscall.Stat_t); ok {
				return fmt.Sprintf("; this user is %d:%d, and %s belongs to %d:%d with mode %#o", os.Geteuid(), os.Getegid(), dir, is.Uid, is.Gid, info.Mode().Perm())
			}
			return ""
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EACCES) || dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// Whose is err with whose the directory is, and what to do, if this user may not read what is in it.
func Whose(dir string, err error) error {
	if is := whose(dir, err); is != "" {
		return fmt.Errorf("%w; give this user all that is in %s (chown -R %d:%d)%s", err, dir, os.Geteuid(), os.Getegid(), is)
	}
	return err
}
