package etcd

import "syscall"

// networkFileSystems are the file systems of other machines, by their magic numbers (statfs(2)).
var networkFileSystems = map[uint32]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x517b: "SMB", 0x00c36400: "Ceph", 0x01021997: "9P"}

// networkFileSystem names the file system of a directory if it is one of another machine;
// "": it is not, or nobody knows.
func networkFileSystem(dir string) string {
	var is syscall.Statfs_t
	if syscall.Statfs(dir, &is) != nil {
		return ""
	}
	return networkFileSystems[uint32(is.Type)] //nolint:gosec // it is wider on some processors, and these are 32 bits
}
