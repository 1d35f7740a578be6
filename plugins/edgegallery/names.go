package edgegallery

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// seeTime is how long a replica waits at most for what others have written.
	seeTime  = 2 * time.Second
	seePause = 10 * time.Millisecond
)

// namer gives names to applications: no two may have one, on whatever replicas they are asked for.
// The store takes one after the other, and each replica looks at all that were given before.
type namer struct {
	*deployments
	given heartbeat.Revision // the last one, as this replica has looked
}

// look waits until this replica has seen every name that was given.
func (n *namer) look(ctx context.Context) (err error) {
	if n.given, err = n.store.DeploymentNames(ctx); err != nil {
		return heartbeat.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, seeTime)
	defer cancel()
	for !n.knows(n.given) {
		select {
		case <-ctx.Done():
			return heartbeat.ErrUnavailable
		case <-time.After(seePause):
		}
	}
	return nil
}

// save writes a deployment with a new name, if none was given since.
func (n *namer) save(ctx context.Context, d plugins.Deployment) (heartbeat.Revision, error) {
	at, err := n.store.SaveNamedDeployment(ctx, d, n.given)
	if err == nil {
		n.mu.Lock()
		n.named = max(n.named, at)
		n.mu.Unlock()
	}
	return at, err
}

// knows says whether this replica has seen all names until a revision: the watch has shown them, or
// it gave the last one itself, for which it had seen those before.
func (k *deployments) knows(until heartbeat.Revision) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.seen, k.named) >= until
}
