package notify

import (
	"context"
	"errors"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// owned are the subscriptions of one type of an application, which are removed together with
// it.
type owned struct{ r *registry }

// Of implements plugins.Owned.
func (b owned) Of(app string) (ids []string) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	for id := range b.r.of(app) {
		ids = append(ids, id)
	}
	return ids
}

// Remove implements plugins.Owned.
func (b owned) Remove(ctx context.Context, app, id string) error {
	err := b.r.Unsubscribe(ctx, app, id)
	if errors.Is(err, server.ErrNoSubscription) {
		return nil
	}
	return err
}
