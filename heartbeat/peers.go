package heartbeat

import "math"

// UpdatePeer takes in that the key of another replica was put. Whoever shows the watch must
// call it before Observe with what was written later.
func (e *Engine) UpdatePeer(name string, s PeerStatus) {
	e.peers.change(Revision(e.watched.Load()), func(o *peerExchange) {
		o.peer(name).update(s)
		o.needed = max(o.needed, s.Wanted)
	})
}

// LosePeer takes in that the key of another replica is gone. left: it said that it leaves,
// and has nothing to refute, so nobody waits for it any more.
func (e *Engine) LosePeer(name string, left bool) {
	e.peers.change(Revision(e.watched.Load()), func(o *peerExchange) {
		for i := range o.peers {
			switch p := &o.peers[i]; {
			case p.name != name:
			case left:
				*p = peer{}
			default:
				p.markMissing()
			}
		}
	})
}

// SetPeers takes in a list of the keys of all other replicas.
func (e *Engine) SetPeers(listed map[string]PeerStatus) {
	e.peers.change(Revision(e.watched.Load()), func(o *peerExchange) {
		for i := range o.peers {
			if _, there := listed[o.peers[i].name]; !there && o.peers[i].name != "" {
				o.peers[i].markMissing()
			}
		}
		for name, s := range listed {
			o.peer(name).update(s)
			o.needed = max(o.needed, s.Wanted)
		}
	})
}

// peer returns the peer of that name; a new one takes the place of one that is dead or has
// left. o.mu is held.
func (o *peerExchange) peer(name string) *peer {
	free := -1
	for i := range o.peers {
		switch o.peers[i].name {
		case name:
			return &o.peers[i]
		case "":
			free = i
		}
	}
	if free < 0 {
		free = len(o.peers)
		o.peers = append(o.peers, peer{})
	}
	o.peers[free].name = name
	return &o.peers[free]
}

// change changes what is known of the peers by f.
func (o *peerExchange) change(watched Revision, f func(*peerExchange)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(o)
	o.refresh(watched)
}

// refresh drops the dead, and derives what flows read without the lock; o.mu is held.
func (o *peerExchange) refresh(watched Revision) {
	nonPublisher := false
	for i := range o.peers {
		if p := &o.peers[i]; p.dead(watched) {
			*p = peer{}
		}
		nonPublisher = nonPublisher || o.peers[i].name != "" && !o.peers[i].Publishes
	}
	o.hasNonPublisher.Store(nonPublisher)
	o.lowestUnsettled.Store(int64(unsettledAmong(o.peers, watched)))
}

// unsettled is the lowest end that another living replica may still refute; 0: none is
// waited for.
func (o *peerExchange) unsettled() Revision { return Revision(o.lowestUnsettled.Load()) }

// nonPublisher says whether a living replica publishes no watermark.
func (o *peerExchange) nonPublisher() bool { return o.hasNonPublisher.Load() }

// settledEnd is the end up to which claims need not wait for others any more.
func (o *peerExchange) settledEnd() int64 {
	if low := o.lowestUnsettled.Load(); low != 0 {
		return low - 1
	}
	return math.MaxInt64
}
