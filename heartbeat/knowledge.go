package heartbeat

// knowledge is all that a replica has of one instance: what the store showed of
// it, and what the replica noticed itself.
type knowledge struct {
	view  View
	local Local
	// openSince is a revision since which the lease may have ended that this replica has to
	// refute, and has not; 0: nothing is open.
	openSince Revision
	openedAt  Mono
	// careful: a refutation of this absence has ended and did not put it back.
	careful bool
}

// observe takes sights in and follows what they change.
func (k *knowledge) observe(g *Health, sights ...Observation) (news bool) {
	lease, at := k.view.Record.Lease, k.view.At
	for _, s := range sights {
		news = k.view.Observe(s) || news
	}
	if news {
		k.careful = k.careful && k.view.Absent()
		if k.view.Record.Lease != lease {
			k.local.leasedAt = g.Credited
		}
		if at == 0 {
			k.local.seenAt = g.Credited
		}
		k.local.mayKeep = k.local.mayKeep && k.view.At == at
		switch {
		case !g.Loaded: // all that is known now is from before this start
			k.local.seenAt = g.StartedAt
			k.local.silenceBefore = silenceBefore(&k.view.Record, g)
		case k.view.Record.Silence == 0: // it was heard, by somebody
			k.local.silenceBefore = 0
		}
		k.local.observe(&k.view.Snapshot, g)
	}
	return news
}

// lastBeat is when the instance was heard last, as far as is certain, in Unix nanoseconds:
// by a heartbeat, not by a PUT or a re-armed lease; at first by its registration. Alone, a
// heartbeat that was heard here is the last, whatever the wall clock was before it.
func (k *knowledge) lastBeat(alone bool) int64 {
	r := &k.view.Record
	if alone && k.local.hasBeat {
		return k.local.beatWall
	}
	return max(r.RegisteredAt, r.LastBeat, k.local.beatWall)
}

// task is what a replica owes an instance beside answering for it.
type task uint8

const (
	noTask task = iota
	refuting
	claiming
	adopting // renewing the lease that another replica moved it to
)

// inProgress is what a replica's workers are doing about an instance. A refutation
// does not wait for a claim (protocol CE4).
type inProgress struct {
	refuting      bool
	refutedAt     Mono
	claiming      bool
	ownerRequests int  // requests of the owner
	unusable      bool // the last refutation found that the record cannot be written
}

// taskOnNews is the duty that follows at once from news. lease is the one that the
// record hung on before.
func (k *knowledge) taskOnNews(now Mono, lease LeaseID, u inProgress) task {
	switch fresh := k.local.fresh(now, &k.view.Record); {
	case !fresh:
		return noTask
	case k.view.Absent() && u.refuting:
		return noTask
	case k.view.Absent():
		return refuting
	case k.view.Record.Lease != lease && k.view.on(k.view.Record.Lease):
		return adopting
	default:
		return noTask
	}
}

// taskWhenDue is the duty when somebody looks: an absent instance is refuted or claimed.
func (k *knowledge) taskWhenDue(now Mono, p *Policy, u inProgress) task {
	switch {
	case !k.view.Absent():
		return noTask
	case !k.local.fresh(now, &k.view.Record):
		if u.claiming {
			return noTask
		}
		return claiming
	case u.refuting || now.Sub(u.refutedAt) < p.Hold/4:
		return noTask
	default:
		return refuting
	}
}

// status is how a replica counts an instance.
type status uint8

const (
	unleased  status = iota // no record, INACTIVE, or without heartbeats
	living                  // its projection is present and hangs on a lease
	absent                  // it should, and does not
	suspended               // SUSPENDED
	statuses
)

func (s *Snapshot) status() status {
	switch {
	case s.Absent():
		return absent
	case s.Exists() && s.Record.Expires():
		return living
	case s.Exists() && s.Record.State == Suspended:
		return suspended
	}
	return unleased
}
