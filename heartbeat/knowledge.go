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

// observe takes observations in, and updates what follows from them; it says whether one was new.
func (k *knowledge) observe(h *Health, observations ...Observation) (news bool) {
	lease, at := k.view.Record.Lease, k.view.At
	for _, o := range observations {
		news = k.view.Observe(o) || news
	}
	if news {
		k.careful = k.careful && k.view.Absent()
		if k.view.Record.Lease != lease {
			k.local.leasedAt = h.Credited
		}
		if at == 0 {
			k.local.seenAt = h.Credited
		}
		k.local.mayKeep = k.local.mayKeep && k.view.At == at
		switch {
		case !h.Loaded: // all that is known now is from before this start
			k.local.seenAt = h.StartedAt
			k.local.silenceBefore = silenceBefore(&k.view.Record, h)
		case k.view.Record.Silence == 0: // it was heard, by somebody
			k.local.silenceBefore = 0
		}
		k.local.observe(&k.view.Snapshot, h)
	}
	return news
}

// lastBeat is the time of the last heartbeat that is certain, in Unix nanoseconds; at first
// that of the registration. A PUT or a re-armed lease is no heartbeat. Alone, a heartbeat
// that came here is the last, whatever the wall clock was before it.
func (k *knowledge) lastBeat(alone bool) int64 {
	r := &k.view.Record
	if alone && k.local.hasBeat {
		return k.local.beatWall
	}
	return max(r.RegisteredAt, r.LastBeat, k.local.beatWall)
}

// task is what the workers of a replica are to do about an instance.
type task uint8

const (
	noTask task = iota
	refuting
	claiming
	adopting // renewing the lease that another replica moved it to
)

// inProgress is what a replica's workers are doing about an instance. A refutation that
// waited for a slow claim would come too late, so both may be under way (refutations never
// wait for claims: protocol CE4).
type inProgress struct {
	refutedAt     Mono
	ownerRequests int32 // PUTs and registrations under way
	refuting      bool
	claiming      bool
	ending        bool // the lease, if it has run out
	unusable      bool // the last refutation found that the record cannot be written
}

// taskOnNews is the task that follows at once from something new. lease is the one that
// the record hung on before.
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

// taskWhenDue is the task of an instance that is due: if it is absent it is refuted or claimed.
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

// status is how a replica counts and schedules an instance.
type status uint8

const (
	unleased  status = iota // no record, INACTIVE, or without heartbeats
	living                  // its projection is present and hangs on a lease
	absent                  // its projection should be present, and is not
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
