//go:build unix

package provision

import (
	"io/fs"
	"os"
	"syscall"
)

// sameOwner gives f the owner of another file.
func sameOwner(f *os.File, of fs.FileInfo) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	want, is := of.Sys().(*syscall.Stat_t)
	have, too := own.Sys().(*syscall.Stat_t)
	if !is || !too || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
