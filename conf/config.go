// Package conf knows every setting of mepserver and of mep-agent: its key, its
// default, the rules it must keep and how file, environment and flags override one
// another.
//
// It must not know what the settings are used for. It reads no clock, keeps no
// global state, never ends the process and imports nothing of the project, so
// that every other package may import it.
package conf

import (
	"net/netip"
	"path/filepath"
	"time"
)

// Config is the complete, validated configuration of one mepserver.
type Config struct {
	Server       Server
	Store        Store
	Applications Applications
	Liveness     Liveness
	Discovery    Discovery
	Notify       Notify
	Rules        Rules
	Timing       Timing
	Limits       Limits
	Identity     Identities
	Audit        Audit
	Board        Board
	Compat       Compat
	EdgeGallery  EdgeGallery

	// Derived follows from the rest; no key sets it.
	Derived Derived
	// Warnings are what is missing or odd in EdgeGallery's environment and keeps nothing from
	// starting. They are to be said aloud.
	Warnings Faults
}

// Server says where the one HTTP port listens.
type Server struct {
	Listen   string // host:port; the host is an IP address or localhost
	Insecure bool   // allows a listen address beyond loopback without TLS and identities
	// Advertise is host:port at which ServiceComb's clients reach this server. Empty: where
	// it listens, or, on every address, one of the machine's that others can reach.
	Advertise string
	// AdminSocket is the path of the Unix socket for mepserver's own commands. Empty:
	// admin.sock in Store.DataDir, and none for a cluster. NoSocket: none.
	AdminSocket string
	TLS         TLS
	Origins     []string // that browsers may call from, as scheme://host[:port]; empty: no CORS
	// ConsoleDir is the folder of ServiceComb's own console, which is served from there. Empty: it
	// is not.
	ConsoleDir string
}

// NoSocket is a Server.AdminSocket that asks for none.
const NoSocket = "none"

// AdminSocket is where the server's admin socket is; "": there is none.
func (c Config) AdminSocket() string {
	switch {
	case c.Server.AdminSocket == NoSocket, c.Server.AdminSocket == "" && c.Store.Kind != Embedded:
		return ""
	case c.Server.AdminSocket == "":
		return filepath.Join(c.Store.DataDir, "admin.sock")
	}
	return c.Server.AdminSocket
}

// Kind names the store behind service-center.
type Kind string

// The kinds of store.
const (
	Embedded Kind = "embedded" // etcd inside this process, without any socket
	Etcd     Kind = "etcd"     // an etcd cluster, reached at Store.Endpoints
)

// Store says where records live. What follows Endpoints is of the cluster, too.
type Store struct {
	Kind         Kind
	DataDir      string   // of the embedded store; without meaning for Etcd
	QuotaBytes   Size     // what the embedded store's database may hold; without meaning for Etcd
	Endpoints    []string // of the cluster; empty for Embedded
	CAFile       string   // certificates that sign the servers'; empty: the system's
	CertFile     string   // our client certificate, with KeyFile
	KeyFile      string
	Username     string
	PasswordFile string // holds the password of Username, on one line
	Password     Secret // the same, from the environment alone
}

// Admission names who may register services.
type Admission string

// The admissions.
const (
	Open       Admission = "open"       // every well-formed appInstanceId
	Registered Admission = "registered" // only those that the platform knows
)

// Applications limits who registers, and how much.
type Applications struct {
	Admission        Admission
	Known            []string // appInstanceIds admitted from the start
	MaxServices      int      // services of one application
	MaxSubscriptions int      // subscriptions of one application
}

// Liveness holds the times by which silence is judged. Intervals are whole
// seconds because the wire carries them so (MEC 011 livenessInterval).
type Liveness struct {
	DefaultInterval time.Duration // given to an application that proposes 0
	MinInterval     time.Duration
	MaxInterval     time.Duration
	AllowedMisses   int           // beats that may fail to arrive; the window is interval × (AllowedMisses + 1)
	Hold            time.Duration // between the end of a lease and the first claim
	DeregisterAfter time.Duration // from SUSPENDED to removal; 0 means never
	// MaxBeatsPerSecond is what all services together may send: those that leave their interval to
	// the platform get longer ones as their number grows, up to MaxInterval. 0: no bound.
	MaxBeatsPerSecond int
}

// Window is the silence after which an instance with this interval is taken
// for dead, and the TTL of its lease.
func (l Liveness) Window(interval time.Duration) time.Duration {
	return interval * time.Duration(l.AllowedMisses+1)
}

// within moves the one interval of a compatibility mode to where an operator has intervals; 0
// stays 0.
func (l Liveness) within(fixed time.Duration) time.Duration {
	if fixed == 0 {
		return 0
	}
	return min(max(fixed, l.MinInterval), l.MaxInterval)
}

// Discovery shapes the lists that consumers read.
type Discovery struct {
	IncludeSuspended bool
}

// Notify rules delivery to subscribers.
type Notify struct {
	Timeout              time.Duration // of one POST
	GiveUpAfter          time.Duration // from the event's creation
	Flap                 Flap
	KeptBytes            Size           // of events that the store keeps for one subscription, at most
	KeptBytesInAll       Size           // for all of them together, at most; with an embedded store also a quarter of its quota
	AllowedCallbackCIDRs []netip.Prefix // where callbacks may be dialled, beside loopback on a loopback server
	// SigningKeyFile holds the Ed25519 private keys (PEM) that sign notifications. Empty: one
	// that is made in Store.DataDir; for a cluster nothing is signed then.
	SigningKeyFile string
	CAFile         string // certificates that sign those of consumers; empty: the system's
	CertFile       string // our client certificate for consumers, with KeyFile
	KeyFile        string
}

// Flap rules when changes of a service are not told at once: those beyond Changes within a Period are
// put off until a Period is over, and only the newest is told.
type Flap struct {
	Changes int // 0: every change is told at once
	Period  time.Duration
}

// Compat names whose clients the defaults suit.
type Compat string

// The compatibility modes.
const (
	CompatNone        Compat = "none"
	CompatEdgeGallery Compat = "edgegallery"
)

// Derived holds what Compat decides beyond the defaults of keys.
type Derived struct {
	// FixedInterval replaces every non-zero interval that an application proposes, and
	// is within [MinInterval, MaxInterval] itself. 0: the proposal is moved there.
	FixedInterval time.Duration
	// MaxBody is the largest request body that is read, MaxBeat that of a heartbeat,
	// in bytes.
	MaxBody, MaxBeat int64
	// LimitStatus answers a registration or subscription over a limit.
	LimitStatus int
	// SuspendedIsFree: SUSPENDED registrations do not count against MaxServices.
	SuspendedIsFree bool
	// EmptySubscriptionsNotFound: a subscription list with no entry is a 404.
	EmptySubscriptionsNotFound bool
}

// Default is the configuration of a mepserver for which nothing is set.
func Default() Config { return defaults(CompatNone) }

// defaults are the values that hold under a mode where nothing else is given.
func defaults(mode Compat) Config {
	c := Config{
		Server:       Server{Listen: "127.0.0.1:30100"},
		Store:        Store{Kind: Embedded, DataDir: "./data", QuotaBytes: 4 * GiB},
		Applications: Applications{Admission: Open, MaxServices: 1000, MaxSubscriptions: 200},
		Liveness: Liveness{
			DefaultInterval: 30 * time.Second,
			MinInterval:     5 * time.Second,
			MaxInterval:     300 * time.Second,
			AllowedMisses:   2,
			Hold:            time.Second,
			DeregisterAfter: 24 * time.Hour,
		},
		Notify:   Notify{Timeout: 10 * time.Second, GiveUpAfter: 24 * time.Hour, Flap: Flap{Changes: 6, Period: 10 * time.Minute}, KeptBytes: 16 * MiB, KeptBytesInAll: 256 * MiB},
		Rules:    Rules{DNS: DNSRules{Driver: DNSNone}},
		Limits:   defaultLimits(),
		Identity: defaultIdentities(),
		Compat:   CompatNone,
		Derived:  Derived{MaxBody: 64 << 10, MaxBeat: 1 << 10, LimitStatus: 403},
	}
	if mode == CompatEdgeGallery {
		c.Compat = CompatEdgeGallery
		c.Applications.MaxServices = 50
		c.Applications.MaxSubscriptions = 50
		c.Liveness.AllowedMisses = 1
		c.Liveness.DeregisterAfter = 0
		c.Discovery.IncludeSuspended = true
		c.Derived = Derived{
			FixedInterval:              60 * time.Second,
			MaxBody:                    4096,
			MaxBeat:                    4096,
			LimitStatus:                400,
			SuspendedIsFree:            true,
			EmptySubscriptionsNotFound: true,
		}
	}
	return c
}
