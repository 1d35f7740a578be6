package etcd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/test/proc"
)

// readyTime ends a start that fails; it is no promise.
const readyTime = time.Minute

// Member is one server of a cluster.
type Member struct {
	Name, Dir    string
	Client, Peer string // host:port
	*proc.Process
	binary string
	args   []string
}

// Cluster is one or more members that belong together.
type Cluster struct {
	Members []*Member
	t       testing.TB
	shared  *clientv3.Client
}

// Start runs a cluster of n members of a binary until the test ends. In args, {client}
// is the Client of the member.
func Start(t testing.TB, binary string, n int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	var initial []string
	for i := range n {
		m := &Member{Name: fmt.Sprintf("m%d", i), Dir: filepath.Join(t.TempDir(), fmt.Sprintf("m%d.etcd", i)),
			Client: proc.Free(t), Peer: proc.Free(t), binary: binary}
		initial = append(initial, m.Name+"=http://"+m.Peer)
		c.Members = append(c.Members, m)
	}
	for _, m := range c.Members {
		m.args = append([]string{"--name", m.Name, "--data-dir", m.Dir, "--log-level", "error",
			"--listen-client-urls", "http://" + m.Client, "--advertise-client-urls", "http://" + m.Client,
			"--listen-peer-urls", "http://" + m.Peer, "--initial-advertise-peer-urls", "http://" + m.Peer,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", t.Name()}, args...)
		for i := range m.args {
			m.args[i] = strings.ReplaceAll(m.args[i], "{client}", m.Client)
		}
		m.Launch(t)
	}
	c.Await()
	return c
}

// Launch starts the member's process, anew after Kill.
func (m *Member) Launch(t testing.TB) {
	t.Helper()
	m.Process = proc.Command{Program: m.binary, Args: m.args}.Start(t)
}

// Endpoints are the members' client URLs.
func (c *Cluster) Endpoints() []string {
	var out []string
	for _, m := range c.Members {
		out = append(out, "http://"+m.Client)
	}
	return out
}

// Dial makes a client of the whole cluster for the test.
func (c *Cluster) Dial() *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Await waits until the cluster answers a linearizable read.
func (c *Cluster) Await() {
	c.t.Helper()
	client := c.Dial()
	end := time.Now().Add(readyTime)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.Get(ctx, "ready")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("etcd was not ready in %s: %v\n%s", readyTime, err, c.Members[0].Stderr)
		}
	}
}

// Leader is the member that leads now; nil if none says so.
func (c *Cluster) Leader() *Member {
	client := c.Dial()
	for _, m := range c.Members {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		s, err := client.Status(ctx, m.Client)
		cancel()
		if err == nil && s.Leader == s.Header.MemberId && s.Leader != 0 {
			return m
		}
	}
	return nil
}

// Compact drops all history.
func (c *Cluster) Compact() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := c.client()
	res, err := client.Get(ctx, "ready")
	if err != nil {
		return err
	}
	_, err = client.Compact(ctx, res.Header.Revision, clientv3.WithCompactPhysical())
	return err
}

// Disarm gives the space of what was erased back and ends every alarm.
func (c *Cluster) Disarm() error {
	if err := c.Compact(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := c.client()
	for _, m := range c.Members {
		if _, err := client.Defragment(ctx, m.Client); err != nil {
			return err
		}
	}
	res, err := client.AlarmList(ctx)
	if err != nil {
		return err
	}
	for _, a := range res.Alarms {
		if a.Alarm != etcdserverpb.AlarmType_NONE {
			if _, err := client.AlarmDisarm(ctx, (*clientv3.AlarmMember)(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Put writes a key, for tests that may not know etcd's client.
func (c *Cluster) Put(key, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.client().Put(ctx, key, value)
	return err
}

// Get reads a key; "": there is none.
func (c *Cluster) Get(key string) (value string, lease int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := c.client().Get(ctx, key)
	if err != nil || len(res.Kvs) == 0 {
		return "", 0, err
	}
	return string(res.Kvs[0].Value), res.Kvs[0].Lease, nil
}

// Erase deletes everything under a prefix.
func (c *Cluster) Erase(prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.client().Delete(ctx, prefix, clientv3.WithPrefix())
	return err
}

// Revoke ends a lease as a leader that woke up does: whoever still renews it.
func (c *Cluster) Revoke(lease int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.client().Revoke(ctx, clientv3.LeaseID(lease))
	return err
}

func (c *Cluster) client() *clientv3.Client {
	if c.shared == nil {
		c.shared = c.Dial()
	}
	return c.shared
}
