// Package driver says how rules reach whoever applies them: what a driver for DNS rules must
// do. It must not know rules, applications, nor any driver.
package driver

import (
	"context"
	"net/netip"

	"github.com/mec-liveness/mepserver/mp1"
)

// DNS is whoever answers the questions for domain names. Its methods may be called by several
// goroutines at a time, but never twice for the same name and type.
type DNS interface {
	// Set replaces everything that is served for a domain name and a type of addresses; no
	// records remove the name. name has the form of Name. It says what is to be so, not what
	// changed: to repeat it is harmless, and whoever calls does so after every start, after a
	// failure, and from time to time. It returns nil when the records are served, and obeys
	// ctx. Its error becomes the reason that administrators see: one line that says what is
	// wrong, without secrets.
	Set(ctx context.Context, name string, t mp1.IPAddressType, records []Record) error
}

// Record is one address of a domain name.
type Record struct {
	Address netip.Addr // of the type of its Set, without a zone
	TTL     uint32     // seconds, at most 2^31-1 (RFC 2181 §8)
}

// Local is a DNS of which each replica has one of its own, such as a file. All others are
// shared: one replica at a time calls them.
type Local interface{ Local() }

// Whole is a DNS that can be given everything at once, which is far less work than name by name.
type Whole interface {
	// SetAll replaces everything that is served by all.
	SetAll(ctx context.Context, all map[Name][]Record) error
}

// Name is what one Set is about.
type Name struct {
	Name string // lower case, of ASCII alone (RFC 5891 §4.4), without a dot at the end
	Type mp1.IPAddressType
}
