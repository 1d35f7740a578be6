package heartbeat

import "time"

// peerGrace is how long the key of another replica must be missing before that replica
// counts as dead. Its lease may have been revoked falsely, together with those of the
// instances that only it holds evidence of; a living replica puts its key back at once.
const peerGrace = 3 * time.Second

// peerProbes is how many own writes, one after the other, must have succeeded before the
// grace begins: as many as putting a key back takes, so that a slow store does not make
// a living replica look dead.
const peerProbes = 2

// PeerStatus is what a replica says of itself in its key.
type PeerStatus struct {
	// Publishes: the replica publishes a watermark. One of a release that knows none is
	// waited for by time alone: the hold and a second for each rank.
	Publishes bool
	// EndsSilences: a heartbeat there ends a silence that a record keeps.
	EndsSilences bool
	// Settled is the watermark: every end of a lease up to this revision is settled
	// there. Either it is refuted, or the replica had no fresh evidence against it.
	Settled Revision
	// Wanted is the highest end of a lease that this replica waits to claim.
	Wanted Revision
}

// peer is another replica, as its key shows it. It is a plain value; its owner says
// what time it is.
type peer struct {
	name string // "": nobody
	PeerStatus
	missing bool
	probes  int8     // own writes begun and done since its key is missing
	since   Credit   // when the last of them was done
	head    Revision // a revision of the store read after the grace; 0: not yet read
}

// update takes in a key that was put. What was settled once remains so: a replica may
// put its key back with an older status.
func (p *peer) update(s PeerStatus) {
	s.Settled = max(s.Settled, p.Settled)
	*p = peer{name: p.name, PeerStatus: s}
}

// markMissing takes in that the key is gone.
func (p *peer) markMissing() {
	if !p.missing {
		*p = peer{name: p.name, PeerStatus: p.PeerStatus, missing: true}
	}
}

// addProbe notes an own write that began after the key was missing.
func (p *peer) addProbe(credited Credit) {
	if p.missing && p.probes < peerProbes {
		p.probes++
		p.since = credited
	}
}

// needsHead: the grace is over, and the store must be asked how far it is: a late watch
// may hide that the key is back.
func (p *peer) needsHead(credited Credit) bool {
	return p.missing && p.probes >= peerProbes && credited.Sub(p.since) >= peerGrace && p.head == 0
}

// dead says whether the replica need not be waited for any more.
func (p *peer) dead(watched Revision) bool { return p.missing && p.head != 0 && watched >= p.head }

// unsettled is the lowest revision of an end that this replica may still refute; 0: it is
// not waited for.
func (p *peer) unsettled(watched Revision) Revision {
	if !p.Publishes || p.dead(watched) {
		return 0
	}
	return p.Settled + 1
}

// unsettledAmong is the lowest revision of an end that any of them may still refute; 0: none
// is waited for.
func unsettledAmong(peers []peer, watched Revision) (low Revision) {
	for i := range peers {
		low = lowest(low, peers[i].unsettled(watched))
	}
	return low
}

// lowest is the lower of two revisions of which 0 is none.
func lowest(a, b Revision) Revision {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// settledUpTo is a replica's watermark: it was shown everything up to watched, and open is
// the lowest end that it has not settled (0: none). It never exceeds what was shown: an
// end that is not seen yet may be one to refute.
func settledUpTo(watched, open Revision) Revision {
	if open != 0 {
		return min(watched, open-1)
	}
	return watched
}

// endedSince is the first revision at which a lease may have ended that a list at
// revision at shows as gone, to a replica that was shown everything up to watched.
func endedSince(watched, _ Revision) Revision { return watched + 1 }

// openMost bounds for how long one end may hold the watermark back: four windows, or this
// if they are shorter. A refutation that fails for so long is not the store's fault, and
// must not keep the deaths of others from being claimed.
const openMost = 2 * time.Minute

// contested says whether this replica may have to refute the absence of the instance: it
// has fresh evidence, or a request of the owner is under way that may become evidence as
// of its receipt. What cannot be written cannot be refuted.
func (k *knowledge) contested(now Mono, u inProgress) bool {
	v := &k.view
	return v.Absent() && !v.recordUnusable && !v.projectionUnusable && !u.unusable && (k.local.fresh(now, &v.Record) || u.ownerRequests > 0)
}

// openIfContested notes, after something new, that the end of the lease is not settled here.
// The lease had not ended before since: of an end that the watch showed that is the revision
// of the end, of one that a list showed the first one that the watch had not shown.
func (k *knowledge) openIfContested(now Mono, since Revision, u inProgress) (opened bool) {
	if k.openSince != 0 || !k.contested(now, u) {
		return false
	}
	k.openSince, k.openedAt = since, now
	return true
}

// closeIfSettled closes the open end if it is settled by now, and says whether none is open.
// An end that is settled stays so: a later heartbeat re-arms by itself before it is answered.
func (k *knowledge) closeIfSettled(now Mono, u inProgress) bool {
	if k.openSince != 0 && (!k.contested(now, u) || now.Sub(k.openedAt) >= max(4*k.view.Record.window(), openMost)) {
		k.openSince, k.openedAt = 0, 0
	}
	return k.openSince == 0
}

// behind says whether the watch has not shown all up to the record's last write, although
// others must be waited for: an older end would be claimed than the one that counts. Once it
// has, what it shows as absent has been so ever since (a re-arm writes the record: protocol
// CE1): Ended is the end that is to be claimed.
func (in *Input) behind(m Revision) bool { return in.Unsettled != 0 && in.Watched < m }

// settled says whether every replica that is waited for has settled the end that is known.
func (in *Input) settled() bool { return in.Unsettled == 0 || in.Ended < in.Unsettled }
