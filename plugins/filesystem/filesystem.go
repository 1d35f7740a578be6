// Package filesystem knows how much room there is in a file system, and of which kind it is. It must
// not know what is kept there.
package filesystem

// Info is what there is to say of the file system of a folder.
type Info struct {
	// Kind names one that not everything can be kept on; "": another one.
	Kind string
	// Remote says that it is one of another machine.
	Remote bool
	Free   uint64 // bytes that are free for us
}
