// Package etcd is how the store is reached: an etcd in this process or a cluster of
// servers. It opens a client, keeps every call within its time, renews leases, heals what
// an etcd cannot heal by itself, and notices when the store is not the one that it was. It
// must not know what is kept there: keys, records and service-center are the other rooms'.
package etcd

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// CallTimeout bounds every call to the store but the lists.
const CallTimeout = 2 * time.Second

// Options say which store is opened, and how.
type Options struct {
	DataDir string  // of the embedded store; unused with Cluster
	Quota   int64   // bytes that the embedded store's database may hold
	Cluster *Remote // of an etcd cluster; nil: the store is embedded
	// Probe is a key that is read to hear whether the store answers and lets us read. It
	// need not exist; on a cluster a user may be limited to the prefixes of our keys.
	Probe   string
	Log     openlog.Logger
	Repeats *logs.Repeats    // of what etcd logs; nil with Cluster
	Fail    func(why string) // see plugins.Host
	Early   *Early           // gets what the check of the embedded store's files meets; nil: nobody does
}

// Client is an open store, embedded or a cluster. Each call of the client within it
// ends in time, whatever hangs in the store.
type Client struct {
	*clientv3.Client
	Gate    *quota.Gate // admits writes; nil for a cluster, whose operator sets its quota
	Readers *Readers    // what must not be compacted yet
	Lineage *Lineage    // whether the store still speaks of the same history

	probe    string
	log      openlog.Logger
	minLease int // seconds of the shortest lease that is granted
	term     term
	longest  atomic.Int64 // the longest lease that was granted in place of a shorter one
	renewals *renewer     // nil if embedded
	permits  hedgePermits // nil if embedded, or one endpoint
	cluster  *Remote      // nil if embedded
	dataDir  string       // of an embedded store

	// All of these are nil unless embedded.
	etcd   *embed.Etcd
	calls  *calls
	lessor *lessor
	upkeep *upkeep
	lock   io.Closer
}

// Over is a Client over a client that is open already, for tests: its calls are
// not bounded, and Close does no more than to end its renewals.
func Over(c *clientv3.Client, probe string, log openlog.Logger) *Client {
	return &Client{Client: c, Readers: &Readers{}, Lineage: newLineage(), probe: probe, log: log, minLease: minLease(embeddedElectionMs)}
}

// Open opens the store.
func Open(ctx context.Context, o Options) (*Client, error) {
	c := Over(nil, o.Probe, o.Log)
	c.cluster, c.dataDir = o.Cluster, o.DataDir
	open := c.openEmbedded
	if o.Cluster != nil {
		open = c.openCluster
	}
	if err := open(ctx, o); err != nil {
		return nil, err
	}
	return c, nil
}

// Embedded says whether the store runs in this process, where nobody else reaches it.
func (c *Client) Embedded() bool { return c.etcd != nil }

// Server is the embedded etcd; nil for a cluster.
func (c *Client) Server() *etcdserver.EtcdServer {
	if c.etcd == nil {
		return nil
	}
	return c.etcd.Server
}

// MinLease is the shortest lease that the store grants, in seconds.
func (c *Client) MinLease() int { return c.minLease }

// Collect adds what an operator watches of an embedded store.
func (c *Client) Collect(cs *plugins.Collectors) {
	if c.Embedded() {
		c.calls.collect(cs, "call")
		c.lessor.collect(cs, "renewal")
		c.upkeep.collect(cs)
	}
}

// Usage is how many bytes of its quota an embedded store uses, and whether it is short of room;
// of a cluster nothing is known.
func (c *Client) Usage() (used, limit int64, short bool) {
	if c.upkeep == nil {
		return 0, 0, false
	}
	return c.upkeep.server.Backend().SizeInUse(), c.upkeep.gate.Limit(), c.upkeep.short()
}

// Upkeep keeps the database of an embedded store within its quota, until ctx ends.
func (c *Client) Upkeep(ctx context.Context) {
	if c.upkeep != nil {
		c.upkeep.run(ctx)
	}
}

// Close ends everything that the client started, and the embedded store.
func (c *Client) Close() {
	if c.renewals != nil {
		c.renewals.close()
	}
	if c.lessor != nil {
		c.lessor.close()
	}
	if c.Client != nil {
		_ = c.Client.Close()
	}
	c.Gate.Close()
	if c.etcd != nil {
		c.etcd.Close()
	}
	if c.lock != nil {
		_ = c.lock.Close()
	}
}

// Head is the store's revision at some moment since the call began, or ErrRestored if it
// is of another history than the one that was shown before.
func (c *Client) Head(ctx context.Context) (heartbeat.Revision, error) {
	before := c.Lineage.now()
	read, _, err := hedged(ctx, c.permits, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return c.Get(ctx, c.probe, clientv3.WithCountOnly())
	})
	if err != nil {
		return 0, Translate(err)
	}
	c.term.seen(read.Header.RaftTerm, time.Now())
	if !c.Lineage.answered(before, read.Header) {
		return 0, ErrRestored
	}
	return heartbeat.Revision(read.Header.Revision), nil
}

// Full says whether the store takes no writes for want of room. A cluster is asked by the
// status of the member that answers: a list of the alarms would be a raft write each time.
func (c *Client) Full(ctx context.Context) (full bool, err error) {
	if c.etcd != nil {
		return inTime(ctx, c.calls, func(context.Context) (full bool, err error) {
			for _, a := range c.etcd.Server.Alarms() {
				full = full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
			}
			return full, nil
		})
	}
	res, _, err := hedged(ctx, c.permits, func(ctx context.Context) (*etcdserverpb.StatusResponse, error) {
		return etcdserverpb.NewMaintenanceClient(c.ActiveConnection()).Status(ctx, &etcdserverpb.StatusRequest{})
	})
	if err != nil {
		return false, Translate(err)
	}
	for _, e := range res.Errors { // an alarm in protobuf's text form, or "etcdserver: no leader"
		full = full || strings.Contains(e, etcdserverpb.AlarmType_NOSPACE.String())
	}
	return full, nil
}
