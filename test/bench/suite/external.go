package suite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// cluster is one etcd beside the server.
type cluster struct {
	*proc.Process
	address   string
	endpoints []string
}

// etcd starts one etcd with nothing in it, which ends with the stage.
func (l *lab) etcd(ctx context.Context, s *site) (*cluster, error) {
	l.say("building etcd")
	binary, err := built.TryModule("build/etcd", ".")
	if errors.Is(err, built.ErrMissing) {
		return nil, fmt.Errorf("%w: etcd %w", errSkipped, built.ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	c := &cluster{address: proc.FindFree()}
	peer := proc.FindFree()
	c.endpoints = []string{"http://" + c.address}
	c.Process, err = proc.Command{Program: binary, Args: []string{"--name", "m0", "--data-dir", filepath.Join(l.dir, "data", "etcd-"+c.address), "--log-level", "error",
		"--listen-client-urls", "http://" + c.address, "--advertise-client-urls", "http://" + c.address,
		"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer, "--initial-cluster", "m0=http://" + peer}}.Launch()
	if err != nil {
		return nil, err
	}
	s.later(c.Kill)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address); err == nil {
			_ = conn.Close()
			return c, nil
		}
	}
	return nil, fmt.Errorf("etcd did not start: %s", c.Stderr)
}

// beatsExternal compares heartbeats over an external etcd with a bare server, and batches of them
// with what that etcd renews at best.
func beatsExternal(ctx context.Context, l *lab, s *site) ([]figure, error) {
	n := l.size.conns
	all := []*contender{
		{name: "bare net/http", run: bareOf(s.main, s.bare.plain(n), n), cpu: s.bare.CPU},
		{name: "mepserver, external etcd", run: patches(s.main, s.main.client(n), n), cpu: s.main.cpu, beside: s.cluster.CPU},
	}
	if err := l.compare(ctx, all); err != nil {
		return nil, err
	}
	out := []figure{all[1].figure(all)}
	raw, err := l.keepAlives(ctx, s.cluster)
	if err != nil {
		return out, err
	}
	defer raw.close()
	run, size, err := l.batchesOf(ctx, s.main, s.main.wire, batchConns)
	switch {
	case errors.Is(err, errNoBatches):
		out = append(out, skip("%v; %s", err, raw.alone(ctx, l)))
		return out, nil
	case err != nil:
		return out, err
	}
	both := []*contender{
		{name: "raw keep-alives", run: raw.run(), cpu: s.cluster.CPU, each: raw.depth},
		{name: fmt.Sprintf("batches of %d", size), run: run, cpu: s.main.cpu, beside: s.cluster.CPU, each: size},
	}
	if err := l.compare(ctx, both); err != nil {
		return out, err
	}
	return append(out, both[1].figure(both)), nil
}

// keepAliver renews leases of etcd over raw streams, a number of them under way on each.
type keepAliver struct {
	conn    *grpc.ClientConn
	streams []etcdserverpb.Lease_LeaseKeepAliveClient
	leases  []int64
	depth   int
	next    atomic.Int64
	stop    context.CancelFunc
}

// rawStreams is how many streams the raw keep-alives use.
const rawStreams = 4

// keepAlives grants as many leases as there are services, in a cluster.
func (l *lab) keepAlives(ctx context.Context, c *cluster) (*keepAliver, error) {
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	k := &keepAliver{conn: conn, depth: l.size.batch, stop: stop, leases: make([]int64, 2*l.size.batch)}
	client := etcdserverpb.NewLeaseClient(conn)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for w := range registrars {
		wg.Go(func() {
			for i := w; i < len(k.leases); i += registrars {
				res, err := client.LeaseGrant(ctx, &etcdserverpb.LeaseGrantRequest{TTL: interval})
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				k.leases[i] = res.ID
			}
		})
	}
	wg.Wait()
	for range rawStreams {
		stream, err := client.LeaseKeepAlive(ctx)
		if err != nil {
			failed = errors.Join(failed, err)
			break
		}
		k.streams = append(k.streams, stream)
	}
	if failed != nil {
		k.close()
		return nil, failed
	}
	return k, nil
}

func (k *keepAliver) close() {
	k.stop()
	_ = k.conn.Close()
}

// run has each stream send as many renewals as a batch has, without waiting, and then take their
// answers.
func (k *keepAliver) run() load.Run {
	var dialled atomic.Int64
	return load.Run{Conns: len(k.streams), Next: func(int) load.Request { return load.Request{} },
		Dial: func() load.Conn {
			return &keepAliveConn{k, k.streams[int(dialled.Add(1)-1)%len(k.streams)]}
		}}
}

// alone is what the raw keep-alives do, in words.
func (k *keepAliver) alone(ctx context.Context, l *lab) string {
	run := k.run()
	run.For = l.size.each
	res := run.Saturate(ctx)
	if err := res.Check(); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("raw keep-alives: %.0f/s", res.PerSecond()*float64(k.depth))
}

type keepAliveConn struct {
	k      *keepAliver
	stream etcdserverpb.Lease_LeaseKeepAliveClient
}

// Close does nothing: the stream is used again.
func (c *keepAliveConn) Close() {}

// Do renews as many leases as a batch has, and returns when the last is renewed.
func (c *keepAliveConn) Do(context.Context, load.Request) (a load.Answer, err error) {
	sent := make(chan error, 1)
	go func() {
		for range c.k.depth {
			i := int(c.k.next.Add(1)) % len(c.k.leases)
			if err := c.stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: c.k.leases[i]}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range c.k.depth {
		res, err := c.stream.Recv()
		if err != nil {
			return a, errors.Join(err, <-sent)
		}
		if res.TTL <= 0 {
			return a, errors.New("a lease of the raw keep-alives has ended")
		}
	}
	return load.Answer{Status: 200}, <-sent
}
