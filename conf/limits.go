package conf

import "math"

// Limits bounds what callers may ask for. 0 turns a limit off, and its burst is then
// without meaning.
type Limits struct {
	WritesPerSecond int // changes of one caller; heartbeats and deletions are none
	WritesBurst     int // changes at once, after a pause
	ListsPerSecond  int // lists of one identity; without identities lists are not limited
	// RequestsPerSecond is from when on answers to one identity are held up, so that it cannot
	// take the processors from the heartbeats of others. Heartbeats are none.
	RequestsPerSecond int
	BytesPerSecond    Size // of the bodies of one caller's changes
	BytesBurst        Size // at once, after a pause
	Connections       int  // open at a time, of all together; 0: as many as there are file descriptors for
	// HandshakesPerSecond is how many handshakes of TLS are computed a second for one address.
	HandshakesPerSecond int
	UnreadBytes         Size // of answers that are made and not read, of all together
}

func defaultLimits() Limits {
	return Limits{WritesPerSecond: 100, WritesBurst: 1000, ListsPerSecond: 50, RequestsPerSecond: 1000, BytesPerSecond: MiB, BytesBurst: 16 * MiB, Connections: 10000, HandshakesPerSecond: 250, UnreadBytes: 16 * MiB}
}

func limitSettings(l *Limits) []setting {
	return []setting{
		{"limits.writesPerSecond", "", &l.WritesPerSecond},
		{"limits.writesBurst", "", &l.WritesBurst},
		{"limits.listsPerSecond", "", &l.ListsPerSecond},
		{"limits.requestsPerSecond", "", &l.RequestsPerSecond},
		{"limits.bytesPerSecond", "", &l.BytesPerSecond},
		{"limits.bytesBurst", "", &l.BytesBurst},
		{"limits.connections", "", &l.Connections},
		{"limits.handshakesPerSecond", "", &l.HandshakesPerSecond},
		{"limits.unreadBytes", "", &l.UnreadBytes},
	}
}

// leastBytesBurst lets the largest body pass that Mp1 takes.
const leastBytesBurst = 64 * KiB

// leastUnread lets some lists pass at a time.
const leastUnread = MiB

// leastConnections leaves room for those that are reserved.
const leastConnections = 16

func (k checker) limits() {
	l := k.Limits
	for _, s := range []struct {
		path string
		n    int
	}{
		{"limits.writesPerSecond", l.WritesPerSecond}, {"limits.writesBurst", l.WritesBurst}, {"limits.listsPerSecond", l.ListsPerSecond}, {"limits.requestsPerSecond", l.RequestsPerSecond}, {"limits.connections", l.Connections}, {"limits.handshakesPerSecond", l.HandshakesPerSecond},
	} {
		if s.n < 0 || s.n > math.MaxInt32 {
			k.fault(s.path, "must be from 0 to %d, not %d; 0 turns the limit off", math.MaxInt32, s.n)
		}
	}
	if l.WritesPerSecond > 0 && l.WritesBurst == 0 {
		k.fault("limits.writesBurst", "must be at least 1 for limits.writesPerSecond %d%s: nothing would ever pass", l.WritesPerSecond, k.writtenAt("limits.writesPerSecond"))
	}
	if l.BytesPerSecond > 0 && l.BytesBurst < leastBytesBurst {
		k.fault("limits.bytesBurst", "must be at least %s, the largest body there may be, not %s", leastBytesBurst, l.BytesBurst)
	}
	if l.UnreadBytes > 0 && l.UnreadBytes < leastUnread {
		k.fault("limits.unreadBytes", "must be at least %s, not %s; 0 turns the limit off", leastUnread, l.UnreadBytes)
	}
	if l.Connections > 0 && l.Connections < leastConnections {
		k.fault("limits.connections", "must be at least %d, not %d; 0 turns the limit off", leastConnections, l.Connections)
	}
}
