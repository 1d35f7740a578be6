//go:build !linux

package etcd

// networkFileSystem names the file system of a directory if it is one of another machine;
// "": it is not, or nobody knows.
func networkFileSystem(string) string { return "" }
