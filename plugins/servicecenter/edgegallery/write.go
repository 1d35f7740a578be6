package edgegallery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Target is what an import needs of the store that it writes to.
type Target interface {
	Place(ctx context.Context, id heartbeat.ID, owner string, info mp1.ServiceInfo) (string, error)
	Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error)
	Read(ctx context.Context, id heartbeat.ID) (heartbeat.Snapshot, error)
	Commit(ctx context.Context, t *heartbeat.Txn) (heartbeat.Revision, error)
	Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error)
	SaveApplication(ctx context.Context, a plugins.Application) (heartbeat.Revision, error)
	SaveDeployment(ctx context.Context, d plugins.Deployment) (heartbeat.Revision, error)
	SaveGatewayEntries(ctx context.Context, e plugins.GatewayEntries) (heartbeat.Revision, error)
}

const (
	writers  = 16 // at a time: a store writes many transactions with one sync
	attempts = 5  // of one write that the store did not take in time
)

// Write writes everything to a store that holds nothing and serves nobody. An error leaves a
// part of it there.
func (c *Contents) Write(ctx context.Context, to Target) error {
	w := &writer{Target: to}
	// Services of one application may share a microservice: they are written one after the other.
	byOwner := map[string][]func(context.Context) error{}
	for i := range c.Services {
		s := &c.Services[i]
		byOwner[s.Record.Owner] = append(byOwner[s.Record.Owner], func(ctx context.Context) error { return w.service(ctx, s) })
	}
	var all [][]func(context.Context) error
	for _, writes := range byOwner {
		all = append(all, writes)
	}
	add := func(write func(context.Context) error) {
		all = append(all, []func(context.Context) error{func(ctx context.Context) error { return again(ctx, write) }})
	}
	for _, s := range c.Subscriptions {
		add(func(ctx context.Context) error { _, err := to.Subscribe(ctx, &s); return err })
	}
	for _, a := range c.Terminations {
		add(func(ctx context.Context) error { _, err := to.SaveApplication(ctx, a); return err })
	}
	for _, d := range c.Deployments {
		add(func(ctx context.Context) error { _, err := to.SaveDeployment(ctx, d); return err })
	}
	for _, e := range c.Gateway {
		add(func(ctx context.Context) error { _, err := to.SaveGatewayEntries(ctx, e); return err })
	}
	return inParallel(ctx, all)
}

type writer struct{ Target }

// service writes a service as a registration does, but tells nobody: its consumers were told by
// EdgeGallery's mepserver. Whatever its agent sent there last, it has a whole window from now on.
func (w *writer) service(ctx context.Context, s *Service) (err error) {
	r := s.Record
	if r.Attributes, err = attributes(s.Info); err != nil {
		return err
	}
	err = again(ctx, func(ctx context.Context) error {
		if r.Place, err = w.Place(ctx, r.ID, r.Owner, s.Info); err != nil {
			return err
		}
		if r.Expires() && r.Lease == 0 {
			if r.Lease, err = w.Grant(ctx, r.Window); err != nil {
				return err
			}
		}
		_, err := w.Commit(ctx, &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, From: r.Place,
			RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r})
		if errors.Is(err, heartbeat.ErrConflict) {
			if there, readErr := w.Read(ctx, r.ID); readErr == nil && there.Record.Lease == r.Lease && there.Exists() {
				return nil // the attempt before did it
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write service %s: %w", r.ID, err)
	}
	return nil
}

// attributes is what a registration stores of a service.
func attributes(info mp1.ServiceInfo) (string, error) {
	info = info.Completed()
	info.SerInstanceID, info.State, info.LivenessInterval, info.Links = "", "", nil, nil
	b, err := json.Marshal(info)
	return string(b), err
}

// again repeats a write whose outcome is unknown. That it was carried out already is a conflict
// then.
func again(ctx context.Context, write func(context.Context) error) (err error) {
	for attempt := range attempts {
		err = write(ctx)
		switch {
		case attempt > 0 && errors.Is(err, heartbeat.ErrConflict):
			return nil
		case err == nil, ctx.Err() != nil, refused(err):
			return err
		}
	}
	return err
}

// refused says whether a write was not carried out and would not be if it was repeated.
func refused(err error) bool {
	return slices.ContainsFunc([]error{heartbeat.ErrConflict, heartbeat.ErrFull, heartbeat.ErrNoAdditions, heartbeat.ErrUnusable},
		func(is error) bool { return errors.Is(err, is) })
}

// inParallel carries out each list in its order, and many lists at a time. The first error ends
// all of them.
func inParallel(ctx context.Context, lists [][]func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slices.SortFunc(lists, func(a, b []func(context.Context) error) int { return cmp.Compare(len(b), len(a)) })
	next := make(chan []func(context.Context) error)
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for list := range next {
				for _, write := range list {
					if ctx.Err() != nil {
						break
					}
					if err := write(ctx); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	for _, list := range lists {
		next <- list
	}
	close(next)
	work.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
