package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

const (
	upkeepEvery = time.Second
	// startWork bounds what the start waits for: history that takes longer goes in the
	// background.
	startWork = 20 * time.Second
	// etcd compares the size of the file, free pages included, with a quota of its own
	// and then takes no writes at all. It is this many times ours, so that what frees
	// always fits.
	alarmFactor = 2
	alarmRoom   = 64 << 20
	// shortFor is how long the store counts as short after a refusal: near its limit it
	// takes what is small and refuses what is large, and is looked at every few seconds.
	shortFor = 30 * time.Second
)

// upkeep keeps the embedded store's database within its quota: it compacts history,
// gives free pages back, and clears etcd's alarm.
type upkeep struct {
	server  *etcdserver.EtcdServer
	client  *clientv3.Client
	log     openlog.Logger
	gate    *quota.Gate
	policy  quota.Upkeep
	began   time.Time
	floor   func() int64
	backups *backupLock

	compactions, defragmentations, refusals *prometheus.CounterVec
	refusedAt                               atomic.Int64 // nanoseconds since began; 0: nothing was refused
	stuck                                   atomic.Bool  // it was said that nothing helps
	atStart                                 quota.Work   // that run begins with
}

func newUpkeep(s *etcdserver.EtcdServer, c *clientv3.Client, limit int64, floor func() int64, log openlog.Logger) *upkeep {
	counter := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	u := &upkeep{server: s, client: c, log: log, began: time.Now(), floor: floor, backups: newBackupLock(),
		compactions:      counter("mep_store_compactions_total", "reason", "Times that history was compacted away in the embedded store."),
		defragmentations: counter("mep_store_defragmentations_total", "reason", "Times that the embedded store's file was copied to give free pages back."),
		refusals:         counter("mep_store_refused_total", "class", "Writes that the embedded store did not take for want of room."),
	}
	for _, r := range quota.Reasons {
		u.compactions.WithLabelValues(string(r))
		u.defragmentations.WithLabelValues(string(r))
	}
	for _, c := range quota.Classes {
		u.refusals.WithLabelValues(c.String())
	}
	u.gate = quota.NewGate(quota.Config{Limit: limit,
		InUse: func() int64 { return s.Backend().SizeInUse() },
		Flush: func() { s.Backend().ForceCommit() },
		Refused: func(c quota.Class) {
			u.refusals.WithLabelValues(c.String()).Inc()
			u.refusedAt.Store(int64(time.Since(u.began)))
		},
	})
	return u
}

// collect adds what an operator watches.
func (u *upkeep) collect(cs *plugins.Collectors) {
	gauge := func(name, help string, f func() int64) {
		cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	gauge("mep_store_bytes", "Bytes of the embedded store's database file.", func() int64 { return u.server.Backend().Size() })
	gauge("mep_store_bytes_in_use", "Bytes of it in use; the rest is free pages, which are used again.", func() int64 { return u.server.Backend().SizeInUse() })
	gauge("mep_store_quota_bytes", "store.quotaBytes.", u.gate.Limit)
	gauge("mep_store_short", "1 while the embedded store refuses what adds to it, and for half a minute after it last did.", func() int64 {
		if u.short() {
			return 1
		}
		return 0
	})
	cs.Add(u.compactions)
	cs.Add(u.defragmentations)
	cs.Add(u.refusals)
}

// short says whether what adds is refused, or was a short time ago.
func (u *upkeep) short() bool {
	at := u.refusedAt.Load()
	return u.gate.Short(0) || at != 0 && time.Since(u.began)-time.Duration(at) < shortFor
}

// logShort says when what adds is refused, and when that is over.
func (u *upkeep) logShort(was bool) (is bool) {
	is = u.short()
	f := u.figures()
	tags := openlog.Tags{"inUse": quota.Bytes(f.InUse), "quota": quota.Bytes(f.Limit)}
	switch {
	case is && !was:
		u.log.Warn("the store is short of room: what adds to it is refused, until something is deleted or store.quotaBytes is raised", openlog.WithTags(tags))
	case was && !is:
		u.log.Info("the store has room again", openlog.WithTags(tags))
	}
	return is
}

func (u *upkeep) figures() quota.Figures {
	be := u.server.Backend()
	return quota.Figures{Now: time.Since(u.began), Revision: u.server.KV().Rev(), Floor: u.floor(), Size: be.Size(), InUse: be.SizeInUse(),
		Limit: u.gate.Limit(), Alarm: u.alarmed()}
}

func (u *upkeep) alarmed() bool {
	for _, a := range u.server.Alarms() {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			return true
		}
	}
	return false
}

// start makes room, if the store cannot do without. That the history before this start is compacted,
// which nobody reads, is left to run: it walks through all keys, for which a start need not wait.
func (u *upkeep) start(ctx context.Context) {
	w := u.policy.Start(u.figures())
	if !w.Disarm && !w.Defragment {
		u.atStart = w
		return
	}
	ctx, cancel := context.WithTimeout(ctx, startWork)
	defer cancel()
	u.perform(ctx, w)
}

// run goes on until ctx ends.
func (u *upkeep) run(ctx context.Context) {
	if at := u.floor(); at != 0 {
		u.atStart.Compact = min(u.atStart.Compact, at)
	}
	u.perform(ctx, u.atStart)
	t := time.NewTicker(upkeepEvery)
	defer t.Stop()
	for short := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		u.gate.Measure(ctx)
		u.perform(ctx, u.policy.Next(u.figures()))
		short = u.logShort(short)
	}
}

// perform carries the work out and says so in one line, if somebody was kept waiting by it
// or may wonder about it.
func (u *upkeep) perform(ctx context.Context, w quota.Work) {
	if w == (quota.Work{}) {
		return
	}
	before, began := u.figures(), time.Now()
	err := u.carryOut(ctx, w, before.Alarm)
	if ctx.Err() != nil && err != nil {
		return // the process stops, or the start goes on without it
	}
	after := u.figures()
	u.policy.Settled(after.InUse)
	tags := openlog.Tags{"why": string(w.Reason), "inUseBefore": quota.Bytes(before.InUse), "inUse": quota.Bytes(after.InUse),
		"fileBefore": quota.Bytes(before.Size), "file": quota.Bytes(after.Size), "quota": quota.Bytes(after.Limit), "took": time.Since(began).Round(time.Millisecond).String()}
	switch {
	case err != nil:
		tags["reason"] = err.Error()
		u.log.Warn("the store could not be cleared up; it is tried again", openlog.WithTags(tags))
	case w.Disarm && after.Alarm:
		if !u.stuck.Swap(true) {
			u.log.Error("the store stays full: delete services that nobody needs, or raise store.quotaBytes", openlog.WithTags(tags))
		}
	case w.Disarm || w.Defragment:
		u.stuck.Store(false)
		u.log.Warn("the store was cleared up: history compacted, its file copied", openlog.WithTags(tags))
	}
}

func (u *upkeep) carryOut(ctx context.Context, w quota.Work, alarmed bool) error {
	if w.Compact != 0 {
		if err := u.compact(ctx, w); err != nil {
			return err
		}
	}
	if w.Defragment {
		if err := u.defragment(ctx, alarmed); err != nil {
			return fmt.Errorf("cannot defragment: %w", err)
		}
		u.defragmentations.WithLabelValues(string(w.Reason)).Inc()
	}
	if w.Disarm && alarmed {
		_, err := u.client.AlarmDisarm(ctx, &clientv3.AlarmMember{Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: uint64(u.server.MemberID())})
		return err
	}
	return nil
}

// defragment copies the database without its free pages. It does not wait for a backup that
// is being taken; it cancels one if the store takes no writes before its file is copied.
func (u *upkeep) defragment(ctx context.Context, alarmed bool) error {
	wait := time.Duration(0)
	if alarmed {
		u.backups.cancelBackup(errBackupFull)
		wait = backupWait
	}
	if err := u.backups.acquire(ctx, wait); err != nil {
		return err
	}
	defer u.backups.release()
	return u.server.Backend().Defrag()
}

// compact erases history, and waits for that, for only then its pages are free. A start does
// not wait, unless the store takes no writes before.
func (u *upkeep) compact(ctx context.Context, w quota.Work) error {
	var o []clientv3.CompactOption
	if w.Reason != quota.AtStart || w.Disarm {
		o = append(o, clientv3.WithCompactPhysical())
	}
	_, err := u.client.Compact(ctx, w.Compact, o...)
	switch {
	case errors.Is(err, rpctypes.ErrCompacted): // before: by the previous release, or by an earlier start
		return nil
	case err != nil:
		return fmt.Errorf("cannot compact: %w", err)
	}
	u.compactions.WithLabelValues(string(w.Reason)).Inc()
	return nil
}
