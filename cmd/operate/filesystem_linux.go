package operate

import "syscall"

// fileSystem is how many bytes are free for us below a folder, and of which kind its file system
// is; "": one that needs no word.
func fileSystem(dir string) (free uint64, kind string, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, "", err
	}
	switch uint32(s.Type) { //nolint:gosec // the kernel's magic numbers have 32 bits (statfs(2))
	case 0x6969:
		kind = "nfs"
	case 0xff534d42:
		kind = "cifs"
	case 0xfe534d42:
		kind = "smb2"
	case 0x01021997:
		kind = "9p"
	case 0x65735546:
		kind = "fuse"
	case 0x01021994:
		kind = "tmpfs"
	}
	return s.Bavail * uint64(s.Bsize), kind, nil //nolint:gosec // a size of blocks is not negative
}
