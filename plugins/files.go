package plugins

// If accepting a connection failed for want of a file descriptor, heartbeats would wait for
// whoever has too many. So each use of descriptors has a part of its own. A quarter is for
// what is not a connection of a client: storeFiles for the store, etcd, listeners, the log
// and the admin socket (an idle server has some thirty open), the rest for POSTs to
// consumers. The other three quarters are for connections of clients.
const (
	storeFiles   = 64
	filesPerPost = 2 // a dial tries two addresses at a time, a question to DNS has two sockets
	shareOfFiles = 4
	fewestConns  = 16
	fewestPosts  = 8
	// mostPosts bounds what POSTs in flight use of memory, however many descriptors there are.
	mostPosts = 4096
)

// shareFiles says how many connections there may be, and how many POSTs in flight: of
// connections as many as configured (0: any number), of both not more than the file
// descriptors leave room for (files, 0: unknown).
func shareFiles(configured int, files uint64) (connections, posts int) {
	if files == 0 || files >= 1<<31 {
		return configured, mostPosts
	}
	others := max(storeFiles+filesPerPost*fewestPosts, int(files)/shareOfFiles)
	posts = min((others-storeFiles)/filesPerPost, mostPosts)
	connections = configured
	if room := int(files) - others; connections == 0 || room < connections {
		connections = max(room, fewestConns)
	}
	return connections, posts
}
