package filesystem

import "syscall"

// known are file systems by their magic numbers (statfs(2)).
var known = map[uint32]Info{
	0x6969: {Kind: "NFS", Remote: true}, 0xff534d42: {Kind: "CIFS", Remote: true}, 0xfe534d42: {Kind: "SMB", Remote: true}, 0x517b: {Kind: "SMB", Remote: true},
	0x00c36400: {Kind: "Ceph", Remote: true}, 0x01021997: {Kind: "9P", Remote: true}, 0x65735546: {Kind: "FUSE"}, 0x01021994: {Kind: "tmpfs"},
}

// Of looks at the file system of a folder.
func Of(dir string) (Info, error) {
	var is syscall.Statfs_t
	if err := syscall.Statfs(dir, &is); err != nil {
		return Info{}, err
	}
	i := known[uint32(is.Type)]           //nolint:gosec // it is wider on some processors, and these are 32 bits
	i.Free = is.Bavail * uint64(is.Bsize) //nolint:gosec // a size of blocks is not negative
	return i, nil
}
