package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
)

// foreignQuota is the size of another server's database from which etcd takes no writes.
// Nothing is written to it, and what the other server took must not stop the start.
const foreignQuota = 1 << 40

// ReadDirectory shows every key below prefix that the etcd of another server has in its data
// directory, that of etcd 3.3 or later. An etcd is started on it, without a socket: a part of
// the keys may stand in the log alone, which only a start replays. It changes the directory,
// which must be a copy. An error of see ends the reading. Of the options, DataDir, Quota,
// Cluster and Probe are not looked at.
func ReadDirectory(ctx context.Context, dir, prefix string, o Options, see func(*mvccpb.KeyValue) error) error {
	if _, err := datadir.Check(dir); err != nil { // etcd answers damage with a panic, a signal or silence
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = identity.Name, dir
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	cfg.AdvertisePeerUrls = cfg.AdvertiseClientUrls
	cfg.InitialCluster = cfg.Name + "=" + cfg.AdvertisePeerUrls[0].String()
	cfg.TickMs, cfg.ElectionMs = embeddedTickMs, embeddedElectionMs
	cfg.QuotaBackendBytes = foreignQuota
	last := &startLog{zapSink: zapSink{o.Repeats}, dir: dir, fail: o.Fail}
	lg := last.logger().WithOptions(zap.IncreaseLevel(zap.ErrorLevel)) // an old directory is one long warning
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(lg)
	if err := datadir.PrepareReplay(dir, lg); err != nil {
		return oneLine{err}
	}
	e, err := startEtcd(cfg)
	if err != nil {
		return oneLine{err}
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
	case err = <-e.Err():
	case <-e.Server.StopNotify():
		err = errors.New("it stopped")
	case <-time.After(startTimeout): // ForceNewCluster would drop what the log does not say to be committed: in a cluster of one, that are acknowledged writes
		err = errors.New("it was not ready in a minute; one of several members cannot be read alone: give the URL of their etcd")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot start an etcd on the copy of %s: %w", filepath.Base(dir), oneLine{err})
	}
	c := v3client.New(e.Server)
	defer func() { _ = c.Close() }() // nothing was written
	return readKeys(ctx, c, prefix, see)
}

// ReadEndpoint is ReadDirectory for an etcd that runs, at a URL without user and path. Nothing
// is written there.
func ReadEndpoint(ctx context.Context, endpoint, prefix string, see func(*mvccpb.KeyValue) error) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: foreignTimeout, Context: ctx, Logger: zap.NewNop()})
	if err != nil {
		return PlainError(err)
	}
	defer func() { _ = c.Close() }() // nothing was written
	return readKeys(ctx, c, prefix, see)
}

const (
	foreignPage    = 500
	foreignTimeout = 30 * time.Second // of one page
)

func readKeys(ctx context.Context, c clientv3.KV, prefix string, see func(*mvccpb.KeyValue) error) error {
	key, end, at := prefix, clientv3.GetPrefixRangeEnd(prefix), int64(0)
	for {
		one, cancel := context.WithTimeout(ctx, foreignTimeout)
		res, err := c.Get(one, key, clientv3.WithRange(end), clientv3.WithLimit(foreignPage), clientv3.WithRev(at))
		cancel()
		if err != nil {
			return PlainError(err)
		}
		at = res.Header.Revision
		for _, kv := range res.Kvs {
			if err := see(kv); err != nil {
				return err
			}
		}
		if !res.More {
			return nil
		}
		key = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
	}
}
