package center

import (
	"context"
	"errors"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	sdetcd "github.com/apache/servicecomb-service-center/datasource/etcd/sd/etcd"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// watchAgain is the pause before a watch that broke is begun again.
const watchAgain = time.Second

// Run implements sd.Runnable.
func (d *direct) Run() {
	if !d.watched {
		return
	}
	d.once.Do(func() {
		var ctx context.Context
		ctx, d.end = context.WithCancel(context.Background())
		d.ended = make(chan struct{})
		go func() {
			defer close(d.ended)
			d.follow(ctx)
		}()
	})
}

// Stop implements sd.Runnable.
func (d *direct) Stop() {
	if d.end != nil {
		d.end()
		<-d.ended
	}
}

// follow tells service-center of what is written, from the first revision that it finds on. A watch
// that breaks goes on where it was.
func (d *direct) follow(ctx context.Context) {
	at, begun := int64(0), false
	for ctx.Err() == nil {
		head, err := d.head(ctx)
		if err == nil && (at == 0 || head < at) { // nothing is known of what was written before
			if err = d.begin(ctx, begun); err == nil {
				at = head
			}
		}
		if err == nil {
			if !begun {
				begun = true
				close(d.ready)
			}
			d.answers.watch(true) // all that is written behind what is read from now on is shown
			forgetFinds()
			err = d.watch(ctx, append(client.WatchPrefixOpOptions(d.cfg.Key), client.WithRev(at+1), client.WithWatchCallback(func(_ string, res *client.PluginResponse) error {
				at = max(at, res.Revision)
				d.see(res)
				return nil
			}))...)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			sclog.Errorf(err, "watch of %s failed behind revision %d", d.cfg.Key, at)
		}
		if errors.Is(err, rpctypes.ErrCompacted) {
			at = 0
		}
		d.answers.watch(false)
		d.recent.clear()
		forgetFinds()
		select {
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
	}
}

// head is the store's revision.
func (d *direct) head(ctx context.Context) (int64, error) {
	res, err := d.get(ctx, d.cfg.Key)
	if err != nil {
		return 0, err
	}
	return res.Header.Revision, nil
}

// begin tells of what there is. anew: some of it was told before, but not what became of it.
func (d *direct) begin(ctx context.Context, anew bool) error {
	switch {
	case d.initial:
		return d.tellTenants(ctx)
	case d.again && anew:
		return d.tellAll(ctx)
	default:
		return nil
	}
}

// tellTenants tells of one key of each tenant: service-center sees by that which there are. It
// counts the others too, in metrics that are not shown.
func (d *direct) tellTenants(ctx context.Context) error {
	end := clientv3.GetPrefixRangeEnd(d.cfg.Key)
	for key := d.cfg.Key; ; {
		res, err := d.get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(1))
		if err != nil || len(res.Kvs) == 0 {
			return err
		}
		for _, one := range d.parse(res.Kvs, true) {
			d.tell(sd.NewKvEvent(discovery.EVT_INIT, one, res.Header.Revision))
		}
		first := string(res.Kvs[0].Key)
		if tenant, ok := tenantOf(first, d.cfg.Key); ok {
			key = clientv3.GetPrefixRangeEnd(tenant)
		} else {
			key = first + "\x00"
		}
	}
}

// tellAll tells of every key as if it had been changed. Of what was deleted nothing is known.
func (d *direct) tellAll(ctx context.Context) error {
	end := clientv3.GetPrefixRangeEnd(d.cfg.Key)
	for key := d.cfg.Key; ; {
		res, err := d.get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(pageOfAll))
		if err != nil || len(res.Kvs) == 0 {
			return err
		}
		for _, one := range d.parse(res.Kvs, true) {
			d.tell(sd.NewKvEvent(discovery.EVT_UPDATE, one, res.Header.Revision))
		}
		key = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
	}
}

// see takes in a run of writes of one revision.
func (d *direct) see(res *client.PluginResponse) {
	d.answers.changed()
	for _, one := range res.Kvs {
		to := sd.NewKeyValue()
		if err := sdetcd.FromEtcdKeyValue(to, one, d.cfg.Parser); err != nil {
			sclog.Errorf(err, "parse %s value failed", string(one.Key))
			d.recent.remove(string(one.Key))
			forgetFinds() // of a key that was deleted, and whose value is compacted, nobody can be told more
			continue
		}
		d.tell(sd.NewKvEvent(d.remember(res.Action, one, to), to, res.Revision))
	}
}

// remember keeps what a write leaves, and says what sort of write it was.
func (d *direct) remember(action client.ActionType, one *mvccpb.KeyValue, to *sd.KeyValue) discovery.EventType {
	switch {
	case action == client.ActionDelete:
		d.recent.remove(string(one.Key))
		return discovery.EVT_DELETE
	case one.Version == 1:
		d.recent.put(to)
		return discovery.EVT_CREATE
	default:
		d.recent.put(to)
		return discovery.EVT_UPDATE
	}
}

// tell hands an event on as service-center's caches do: a panic is logged, and no more.
func (d *direct) tell(e sd.KvEvent) {
	if d.cfg.OnEvent == nil {
		return
	}
	defer sclog.Recover()
	d.cfg.OnEvent(e)
}
