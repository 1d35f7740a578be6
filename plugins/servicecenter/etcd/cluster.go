package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	dialTimeout = 5 * time.Second
	// A peer that fell silent is given up after the sum of both. gRPC allows no
	// shorter ping than ten seconds.
	pingEvery   = 10 * time.Second
	pingTimeout = 3 * time.Second

	// How much etcd may send that was not taken in yet. gRPC would find that out by itself, by a ping with
	// each message of answers, which costs both ends as much as the message. So much of one stream is
	// 100 MB a second over a link of ten milliseconds; by itself gRPC goes up to 16 MB.
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// reconnect is quick at any age of an outage: gRPC's own steps grow to two minutes,
// in which a store that is back is not used.
var reconnect = grpc.ConnectParams{MinConnectTimeout: pingTimeout,
	Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}

// openCluster connects to an etcd cluster and makes sure, in bounded time, that it
// is one that we can work with.
func (c *Client) openCluster(ctx context.Context, o Options) error {
	a := o.Cluster
	where := "the etcd cluster at " + strings.Join(a.endpoints, ",")
	var err error
	c.Client, err = clientv3.New(clientv3.Config{Endpoints: a.endpoints, TLS: a.tls, Username: a.username, Password: a.password,
		DialTimeout: dialTimeout, DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingTimeout, PermitWithoutStream: true,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(reconnect), grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow)}, Logger: zap.NewNop(), Context: context.WithoutCancel(ctx)})
	if err != nil {
		c.Client = nil
		return fmt.Errorf("cannot use %s: %w", where, a.reason(ctx, a.endpoints[0], err))
	}
	bind(c.Client, nil, nil)
	err = c.meet(ctx, o)
	if err == nil {
		c.share(ctx)
		return nil
	}
	c.Close()
	if silent := (unreached{}); errors.As(err, &silent) {
		return fmt.Errorf("cannot reach %s: %w", where, err)
	}
	return fmt.Errorf("cannot use %s: %w", where, err)
}

// share sets up what a store over the network needs: streams of renewals, and calls that
// are sent again.
func (c *Client) share(ctx context.Context) {
	c.minLease = leastLease(ctx, c.Client)
	free := make(hedgePermits, maxHedges)
	c.renewals = newRenewer(etcdserverpb.NewLeaseClient(c.ActiveConnection()), free)
	if len(c.Endpoints()) > 1 {
		c.permits = free
	}
}

// unreached says that no endpoint answered, and why the last one did not.
type unreached struct{ error }

// member is what one endpoint said of itself.
type member struct {
	endpoint string
	status   *clientv3.StatusResponse
	err      error // in plain words
}

// meet asks every endpoint who it is, and the cluster whether it answers.
func (c *Client) meet(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	members := c.members(ctx, o.Cluster)
	if err := judgeMembers(members, o.Log); err != nil {
		return err
	}
	if _, err := c.Get(ctx, c.probe); err != nil {
		return fmt.Errorf("it has no leader, or does not let us read: %w", PlainError(err))
	}
	return nil
}

func (c *Client) members(ctx context.Context, a *Remote) []member {
	out := make(chan member, len(a.endpoints))
	for _, e := range a.endpoints {
		go func() {
			// Short of the whole time: what answers late leaves some for the rest.
			asked, cancel := context.WithTimeout(ctx, dialTimeout*2/5)
			defer cancel()
			m := member{endpoint: e}
			var err error
			if m.status, err = c.Status(asked, e); err != nil {
				m.err = a.reason(ctx, e, err)
			}
			out <- m
		}()
	}
	all := make([]member, len(a.endpoints))
	for i := range all {
		all[i] = <-out
	}
	return all
}

// judgeMembers refuses versions that are too old and endpoints of different clusters;
// an endpoint that does not answer is logged, as long as another one does.
func judgeMembers(members []member, log openlog.Logger) error {
	var first *member
	var silent error
	for i := range members {
		m := &members[i]
		if m.err != nil {
			silent = m.err
			continue
		}
		refusal, warning := judgeVersion(m.status.Version)
		switch {
		case refusal != "":
			return errors.New(m.endpoint + " " + refusal)
		case warning != "":
			log.Warn("an etcd server is older than recommended", openlog.WithTags(openlog.Tags{"reason": m.endpoint + " " + warning}))
		}
		if first == nil {
			first = m
		} else if first.status.Header.ClusterId != m.status.Header.ClusterId {
			return fmt.Errorf("%s and %s belong to different clusters", first.endpoint, m.endpoint)
		}
	}
	if first == nil {
		return unreached{silent}
	}
	for i := range members {
		if m := &members[i]; m.err != nil {
			log.Warn("an etcd server does not answer; its version is not known", openlog.WithTags(openlog.Tags{"endpoint": m.endpoint, "reason": m.err.Error()}))
		}
	}
	return nil
}

// leastLease asks the cluster for the shortest lease that it grants: one and a
// half of its election timeout, which no call tells. A full store grants none;
// then etcd's default is assumed.
func leastLease(ctx context.Context, c *clientv3.Client) int {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	res, err := c.Grant(ctx, 1)
	if err != nil {
		return minLease(defaultElectionMs)
	}
	_, _ = c.Revoke(ctx, res.ID) // else it runs out
	return int(res.TTL)
}

const defaultElectionMs = 1000

// minLease is the shortest lease that etcd grants, in seconds: one and a half election
// timeouts, rounded up.
func minLease(electionMs int) int { return (electionMs*3/2 + 999) / 1000 }
