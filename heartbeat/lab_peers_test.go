package heartbeat

import (
	"context"
	"time"
)

const labKeyLife = 5 * time.Second

// replicaStore is the lab as one replica reaches it: with a key of its own.
type replicaStore struct {
	*lab
	replica *replica
}

// Publish implements Store.
func (s replicaStore) Publish(ctx context.Context, w PeerStatus) error {
	if s.replica.old {
		return nil // a release that has none
	}
	if err := s.calling(ctx, "publish"); err != nil {
		return err
	}
	if err := s.write(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return ErrFull
	}
	s.putKey(s.replica, w)
	return nil
}

// putKey puts a replica's key; l.mu is held.
func (l *lab) putKey(s *replica, w PeerStatus) {
	l.rev++
	l.publishes++
	s.key, s.status = true, w
	l.showKey(s, func(other *replica) { other.UpdatePeer(s.name, w) })
}

// published is how often keys were put.
func (l *lab) published() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.publishes
}

// dropKey takes a replica's key away; l.mu is held.
func (l *lab) dropKey(s *replica, left bool) {
	if !s.key {
		return
	}
	l.rev++
	s.key = false
	l.showKey(s, func(other *replica) { other.LosePeer(s.name, left) })
}

// tellKey shows every other replica a write of a key.
func (l *lab) showKey(of *replica, show func(*replica)) {
	rev := l.rev
	for _, s := range l.replicas {
		if s != of && !s.old {
			s.queue <- func() {
				show(s)
				s.Observe(nil, rev)
			}
		} else {
			s.queue <- func() { s.Observe(nil, rev) }
		}
	}
}

// loseKey revokes the lease of a replica's key falsely; the replica puts it back by two
// writes, one after the other.
func (s *replica) loseKey() {
	l := s.lab
	l.mu.Lock()
	l.dropKey(s, false)
	l.mu.Unlock()
	go func() {
		for range 2 {
			if l.write(context.Background()) != nil {
				return
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !s.key {
			l.putKey(s, s.status)
		}
	}()
}

// kill stops a replica as if its process was killed: its key outlives it.
func (s *replica) kill() {
	s.killed = true
	s.stop()
	time.AfterFunc(labKeyLife, func() {
		s.lab.mu.Lock()
		defer s.lab.mu.Unlock()
		s.lab.dropKey(s, false)
	})
}

// slow makes every write take so long, with at most so many at once; 0: at once.
func (l *lab) slow(each time.Duration, atOnce int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.each, l.free = each, make([]time.Time, atOnce)
}

// write takes as long as a write takes, within the bound that every call has. One that
// was given up takes up the store all the same.
func (l *lab) write(ctx context.Context) error {
	l.mu.Lock()
	if l.each == 0 {
		l.mu.Unlock()
		return nil
	}
	first := 0
	for i := range l.free {
		if l.free[i].Before(l.free[first]) {
			first = i
		}
		if !l.free[i].After(time.Now()) {
			first = i
			break
		}
	}
	begin := time.Now()
	if l.free[first].After(begin) {
		begin = l.free[first]
	}
	l.free[first] = begin.Add(l.each)
	takes := time.Until(l.free[first])
	l.mu.Unlock()
	bound := 2 * time.Second
	t := time.NewTimer(min(takes, bound))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if takes > bound {
		return errSilent
	}
	return nil
}
