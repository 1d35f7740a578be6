// Package servicecenter is the adapter: with the packages below it, the only one that knows
// service-center, go-chassis and etcd. It wires three rooms: etcd is how the store is
// reached, store what is kept there, center service-center itself. It must not know what a
// state means or when it changes; heartbeat decides that.
package servicecenter

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// Plugin is the bottom of the list: service-center, the store under it, and the
// way into its handler chain.
func Plugin() plugins.Plugin {
	etcd.SmallSegments()
	return plugins.Plugin{Name: "servicecenter", Setup: setup}
}

// BackupRoute is where the admin socket serves a backup of the embedded store.
const BackupRoute = "/backup"

// base joins the running service-center with the store's encoding.
type base struct {
	*store.Store
	*center.Center
	client *etcd.Client
	ran    *etcd.RunTime        // nil unless embedded
	entry  *center.Registration // nil until the store has shown that it can be used
}

func (b base) stop(ctx context.Context) error {
	if b.entry != nil {
		b.entry.Leave(ctx)
	}
	b.Close()
	return b.Stop(ctx)
}

var _ plugins.Base = base{}

// Alone implements plugins.Base: nobody else can reach an embedded store.
func (b base) Alone() bool { return b.client.Embedded() }

func setup(ctx context.Context, h *plugins.Host) (func(context.Context) error, error) {
	o, err := optionsOf(h)
	if err != nil {
		return nil, err
	}
	if err := center.Measure(h.Config.Server.Listen); err != nil {
		return nil, err
	}
	var early *store.Early
	if o.Cluster == nil {
		early = store.NewEarly()
		o.Early = early.Early
	}
	db, err := etcd.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	c, err := center.Start(center.Options{Listen: h.Config.Server.Listen, Client: db, Repeats: o.Repeats, Identity: h.Identity})
	if err != nil {
		db.Close()
		return nil, err
	}
	s := store.New(store.Options{Client: db, Log: h.Log, Consumers: c.InstanceEvents(), Reserved: center.SelfServiceID,
		Served: func(ctx context.Context) { awaitServed(ctx, h) }})
	b := base{Store: s, Center: c, client: db}
	if db.Embedded() {
		ran := etcd.NewRunTime(o.DataDir)
		b.ran = &ran
	}
	if err = s.CheckSchema(ctx); err == nil {
		err = longEnough(h.Config, db.MinLease())
	}
	if err == nil {
		err = importAtStart(ctx, h, s, o)
	}
	if err != nil {
		_ = b.stop(ctx)
		return nil, err
	}
	if !db.Embedded() {
		details := map[string]string{"listen": h.Config.Server.Listen, "version": h.Version, "projection": store.ProjectionForm}
		s.Join(details) // before the engine publishes
		h.Go(func(ctx context.Context) { s.KeepPresence(ctx, details) })
	}
	b.entry = center.NewRegistration(db, h.Log, s.Name(), center.AdvertisedEndpoint(h))
	b.entry.Ensure(ctx) // before anybody can ask for it
	h.Go(b.entry.Run)
	var shown plugins.Collectors
	b.entry.Collect(&shown)
	s.Collect(&shown)
	db.Collect(&shown)
	if db.Embedded() {
		h.Go(func(ctx context.Context) {
			awaitServed(ctx, h)
			db.Upkeep(ctx)
		})
		h.OnAdmin(plugins.AdminRoute{Pattern: "GET " + BackupRoute, Handler: db.ServeBackup(h.Log)})
	}
	s.ShareStart(early)
	h.OnChange(s.Changed)
	c.Protect(s)
	c.Limit(h.Limits)
	if dir := h.Config.Server.ConsoleDir; dir != "" {
		if err := c.ServeConsole(dir); err != nil {
			_ = shown.Unregister(ctx)
			_ = b.stop(ctx)
			return nil, err
		}
		h.Aliases = center.Aliases
	}
	h.Base = b
	return func(ctx context.Context) error {
		_ = shown.Unregister(ctx)
		return b.stop(ctx)
	}, nil
}

// What need not be done before requests are served waits for that, but not for ever.
const (
	mostDeferred = time.Minute
	servedPoll   = 50 * time.Millisecond
)

// awaitServed waits until requests are served.
func awaitServed(ctx context.Context, h *plugins.Host) {
	ctx, cancel := context.WithTimeout(ctx, mostDeferred)
	defer cancel()
	t := time.NewTicker(servedPoll)
	defer t.Stop()
	for h.Receiving != nil && !h.Receiving() {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// optionsOf takes what the base needs out of the configuration.
func optionsOf(h *plugins.Host) (o etcd.Options, err error) {
	o = etcd.Options{Probe: keys.Cluster, Log: h.Log, Repeats: logs.NewRepeats(h.Log), Fail: h.Fail}
	if h.Config.Store.Kind == conf.Etcd {
		o.Cluster, err = etcd.NewRemote(h.Config.Store)
	} else {
		o.DataDir, err = filepath.Abs(h.Config.Store.DataDir)
		o.Quota = int64(h.Config.Store.QuotaBytes)
	}
	return o, err
}

// MinLease implements plugins.Base: etcd grants no less than one and a half
// election timeouts, rounded up.
func (b base) MinLease() int { return b.client.MinLease() }

// StoreUsage implements plugins.Base.
func (b base) StoreUsage() plugins.StoreUsage {
	used, quota, short := b.client.Usage()
	return plugins.StoreUsage{Used: used, Quota: quota, Short: short}
}

// StoreHealth implements plugins.Base.
func (b base) StoreHealth(ctx context.Context) plugins.StoreHealth { return b.client.Health(ctx) }

// ServiceCombID implements plugins.Base.
func (b base) ServiceCombID(id heartbeat.ID, place string) (service, instance string) {
	i := keys.InstanceOf(id, place)
	return i.ServiceID, i.InstanceID
}

// RunTime implements plugins.Base.
func (b base) RunTime() (before time.Duration, keep func(time.Duration)) {
	if b.ran == nil {
		return 0, nil
	}
	return b.ran.Load(), b.ran.Save
}

// longEnough refuses a configuration whose shortest window the store cannot keep:
// its leases would outlive it, and every death be found late.
func longEnough(c conf.Config, least int) error {
	interval := c.Liveness.MinInterval
	if f := c.Derived.FixedInterval; f != 0 {
		interval = min(f, c.Liveness.DefaultInterval)
	}
	if shortest := c.Liveness.Window(interval); shortest < time.Duration(least)*time.Second {
		return fmt.Errorf("the store grants no lease below %ds (one and a half of etcd's election timeout), but an interval of %s with "+
			"liveness.allowedMisses %d needs one of %s: raise these, or lower the election timeout", least, interval, c.Liveness.AllowedMisses, shortest)
	}
	return nil
}
