package notify

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// registry serves the subscriptions of one type that the dispatcher has to Mp1.
type registry struct {
	*dispatcher
	subscriptionType string // of those that it serves
	policy           policy
	maxPerApp        int           // subscriptions of one application
	reads            chan struct{} // a semaphore of reads of the store

	reserved map[string]map[string]bool // subscriptions that are being made, by application; guarded by mu
}

// owner is who has subscriptions of one type, which are listed and counted apart from those of
// the other.
type owner struct {
	app           string
	ofTermination bool
}

func ownerOf(s *plugins.Subscription) owner { return owner{s.Owner, s.Asked.OfTermination()} }

// of are the entries that an application has here; mu is held.
func (r *registry) of(app string) map[string]*entry {
	return r.byOwner[owner{app, r.subscriptionType == mp1.TerminationSubscriptionType}]
}

var _ server.Subscriptions = (*registry)(nil)

func newRegistry(d *dispatcher, subscriptionType string, p policy, most int) *registry {
	return &registry{dispatcher: d, subscriptionType: subscriptionType, policy: p, maxPerApp: most, reads: make(chan struct{}, 32), reserved: map[string]map[string]bool{}}
}

// Subscribe implements server.Subscriptions.
func (r *registry) Subscribe(ctx context.Context, app, prefix string, asked mp1.Subscription) (*server.Subscription, error) {
	if !asked.ByWebSocket() && r.policy.refuses(asked.CallbackReference) {
		return nil, &mp1.Invalid{Attribute: "callbackReference", Rule: "its address is none that the platform may call; the operator allows networks by notify.allowedCallbackCIDRs"}
	}
	id := plugins.NewUUID()
	if !r.reserve(app, id) {
		return nil, server.ErrSubscriptionLimit
	}
	defer r.release(app, id)
	asked.Links = nil
	_, wall := r.now()
	s := &plugins.Subscription{ID: id, Owner: app, Prefix: prefix, Asked: asked, Since: wall}
	r.chooseDelivery(ctx, s)
	ctx = context.WithoutCancel(ctx) // a client that disconnects must not leave it undecided
	at, err := r.store.Subscribe(ctx, s)
	s.At = at
	if err != nil && !errors.Is(err, heartbeat.ErrFull) { // it may have been stored all the same
		if made, readErr := r.store.Subscription(ctx, r.subscriptionType, id); readErr == nil && made != nil {
			s, err = made, nil
		}
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r.mu.Lock()
	if en := r.addSeen(s); en != nil {
		en.tryAt = 0
	}
	r.mu.Unlock()
	r.lease.wakeUp()
	if s.Asked.RequestTestNotification && !asked.ByWebSocket() {
		r.testLater(s.ID)
	}
	return viewOf(s), nil
}

// addSeen adds a subscription that was read from the store; nil: it was erased since. mu is
// held.
func (r *registry) addSeen(s *plugins.Subscription) *entry {
	if en := r.entries[s.ID]; en != nil || r.seen >= s.At {
		return en
	}
	return r.addSubscription(s)
}

// unavailable is the error that a client gets for one of the store.
func unavailable(err error) error {
	if errors.Is(err, heartbeat.ErrFull) {
		return err
	}
	return heartbeat.ErrUnavailable
}

func viewOf(s *plugins.Subscription) *server.Subscription {
	return &server.Subscription{ID: s.ID, Owner: s.Owner, Asked: s.Asked}
}

// reserve counts a subscription before it is made. Otherwise many requests at once would get
// past the limit. One that the watch has shown already is counted once.
func (r *registry) reserve(app, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := r.of(app)
	n := len(made)
	for on := range r.reserved[app] {
		if made[on] == nil {
			n++
		}
	}
	if n >= r.maxPerApp {
		return false
	}
	if r.reserved[app] == nil {
		r.reserved[app] = map[string]bool{}
	}
	r.reserved[app][id] = true
	return true
}

func (r *registry) release(app, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.reserved[app], id); len(r.reserved[app]) == 0 {
		delete(r.reserved, app)
	}
}

// Subscription implements server.Subscriptions. One that this replica has not seen is looked
// for in the store, unless no other replica writes there.
func (r *registry) Subscription(ctx context.Context, app, id string) (*server.Subscription, error) {
	r.mu.Lock()
	en, gone := r.entries[id], r.deleted[id]
	r.mu.Unlock()
	if en == nil && !r.alone && !gone {
		var err error
		if en, err = r.confirm(ctx, id); err != nil {
			return nil, err
		}
	}
	if en == nil || ownerOf(en.sub) != (owner{app, r.subscriptionType == mp1.TerminationSubscriptionType}) {
		return nil, server.ErrNoSubscription
	}
	return viewOf(en.sub), nil
}

// confirm reads a subscription that this replica has not seen; nil: there is none.
func (r *registry) confirm(ctx context.Context, id string) (*entry, error) {
	select {
	case r.reads <- struct{}{}:
		defer func() { <-r.reads }()
	case <-ctx.Done():
		return nil, heartbeat.ErrUnavailable
	}
	s, err := r.store.Subscription(ctx, r.subscriptionType, id)
	if err != nil {
		return nil, unavailable(err)
	}
	if s == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addSeen(s), nil
}

// SubscriptionsOf implements server.Subscriptions.
func (r *registry) SubscriptionsOf(_ context.Context, app string) ([]*server.Subscription, error) {
	r.mu.Lock()
	made := r.of(app)
	all := make([]*plugins.Subscription, 0, len(made))
	for _, en := range made {
		all = append(all, en.sub)
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b *plugins.Subscription) int { return cmp.Compare(a.At, b.At) })
	out := make([]*server.Subscription, len(all))
	for i, s := range all {
		out[i] = viewOf(s)
	}
	return out, nil
}

// each shows all subscriptions of its type, in no order.
func (r *registry) each(see func(*server.Subscription)) {
	r.mu.Lock()
	all := make([]*plugins.Subscription, 0, len(r.entries))
	for _, en := range r.entries {
		if en.sub.Asked.OfTermination() == (r.subscriptionType == mp1.TerminationSubscriptionType) {
			all = append(all, en.sub)
		}
	}
	r.mu.Unlock()
	for _, s := range all {
		see(viewOf(s))
	}
}

// Unsubscribe implements server.Subscriptions.
func (r *registry) Unsubscribe(ctx context.Context, app, id string) error {
	if _, err := r.Subscription(ctx, app, id); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err := r.store.Unsubscribe(ctx, r.subscriptionType, id)
	switch {
	case errors.Is(err, heartbeat.ErrConflict): // another request deleted it first
		_ = r.awaitUnlocked(ctx, id)
		return server.ErrNoSubscription
	case err != nil:
		return unavailable(err)
	}
	return r.awaitUnlocked(ctx, id)
}
