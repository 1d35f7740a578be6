package heartbeat

// massMutants are faults of the watermark, which the model of masses must catch.
var massMutants = []mutant{
	{name: "F10: a watermark passes an end whose refutation has only begun", masses: "one lease", quick: true, edits: []edit{
		{"watermark.go", "	if k.openSince != 0 && (!k.contested(now, u) ||", "	if k.openSince != 0 && (u.refuting || !k.contested(now, u) ||"}}},
	{name: "F10: the watermark of one replica is ignored", masses: "one lease|four replicas", edits: []edit{
		{"watermark.go", "	for i := range peers {\n", "	for i := range peers {\n		if i == 0 {\n			continue\n		}\n"}}},
	{name: "F10: a missing key counts as a death at once", masses: "a replica's own lease", edits: []edit{
		{"watermark.go", "return p.missing && p.head != 0 && watched >= p.head", "return p.missing"}}},
	{name: "F10: a missing key counts as a death though the watch is late", masses: "a replica's own lease, a late watch", edits: []edit{
		{"watermark.go", "return p.missing && p.head != 0 && watched >= p.head", "return p.missing && p.head != 0"}}},
	{name: "F10: a watermark is compared with the record's revision", masses: "one lease", edits: []edit{
		{"watermark.go", "in.Ended < in.Unsettled", "in.Known.At < in.Unsettled"}}},
	{name: "F10: a watermark is ahead of the watch", masses: "two leases", edits: []edit{
		{"watermark.go", "		return min(watched, open-1)\n	}\n	return watched\n", "		return min(watched, open-1)\n	}\n	return watched + 1\n"}}},
	{name: "F10: an open end does not hold the watermark back", masses: "one lease", edits: []edit{
		{"watermark.go", "		return min(watched, open-1)\n", "		return watched\n"}}},
	{name: "F10: what a list shows as gone ended at the list's revision", tests: "AnEndThatAListShows", edits: []edit{
		{"watermark.go", "func endedSince(watched, _ Revision) Revision { return watched + 1 }", "func endedSince(_, at Revision) Revision { return at }"}}},
	{name: "F10: a request of the owner under way is no reason to wait", tests: "ARequestUnderWayKeeps", edits: []edit{
		{"watermark.go", "(k.local.fresh(now, &v.Record) || u.ownerRequests > 0)", "k.local.fresh(now, &v.Record)"}}},
	{name: "F10: discovery hides what others may still refute", masses: "discovery", edits: []edit{
		{"local.go", "		(in.settled() || in.Health.cannotWrite(in.Policy.Hold))", "		true"}}},
	{name: "F10: the watch need not have shown the record", masses: "one lease|two leases|a heartbeat|a PUT", edits: []edit{
		{"watermark.go", "{ return in.Unsettled != 0 && in.Watched < m }", "{ return false }"}},
		alike: "only an own write of the record without the projection is known before the watch shows it, and whoever made it holds evidence"},
	{name: "F10: what is open does not hold the watermark back in the engine", tests: "NoLivingOneIsSuspended", edits: []edit{
		{"exchange.go", "max(settledUpTo(watched, low), ", "max(settledUpTo(watched, low-low), "}}},
	{name: "F10: a slow store makes a living replica look dead", tests: "WhoseKeyIsLost", edits: []edit{
		{"watermark.go", "p.probes >= peerProbes &&", ""}}},
	{name: "F10: a replica is never dead", tests: "DeathBesideAKill", edits: []edit{
		{"watermark.go", "return p.missing && p.head != 0 && watched >= p.head", "return false"}}},
	{name: "F10: a death is told of to nobody", tests: "SingleDeathIsClaimed", edits: []edit{
		{"exchange.go", "		o.needed = max(o.needed, en.view.ended)\n", ""}}},
	{name: "F10: words of another history are believed", tests: "RestoredStoreForgets", edits: []edit{
		{"exchange.go", "		o.peers[i].Settled, o.peers[i].Wanted, o.peers[i].head = 0, 0, 0\n", "		_ = i\n"}}},
	{name: "F10: a claim waits for an end of another history", tests: "RestoredStoreFrees", edits: []edit{
		{"restore.go", "	e.schedule.release(&e.schedule.awaitingPeers, e.health.Load().Credited) //", "	//"},
		{"watch.go", "	if en.view.ended != ended {", "	if en.view.ended != ended && ended != 0 {"}}},
	{name: "F10: a claim waits for an end that is known better by now", tests: "ClaimFollowsTheEnd", edits: []edit{
		{"watch.go", "	if en.view.ended != ended {", "	if false {"}, {"watch.go", "state, ended := en.view.Record.Lease, en.view.Record.State, en.view.ended", "state := en.view.Record.Lease, en.view.Record.State"}}},
	{name: "a claim goes on without a token", tests: "WithoutATokenAsks", edits: []edit{
		{"dispatch.go", "			if !hasToken && en.claimFlow != nil", "			if false && en.claimFlow != nil"}}},
	{name: "F10: a replica that cannot get on is waited for", tests: "CannotGetOn", edits: []edit{
		{"exchange.go", "	o.stuck.Store(credited.Sub(o.progressAt) >= stuckAfter)\n", ""}}},
	{name: "refutations crowd a slow store", tests: "NoLivingOneIsSuspended", edits: []edit{
		{"tasks.go", "	e.refutes.adapt(began, now, errors.Is(err, ErrUnavailable))\n", "	_, _ = began, now\n"}}},
	{name: "a slow grant refutes nothing", tests: "NoLivingOneIsSuspended", edits: []edit{
		{"flow_refute.go", "	if !in.Local.fresh(in.Now, &f.snap.Record) {\n", "	if f.stale(in) {\n"}}},
	{name: "one unanswered write restarts the holds of all", tests: "OneFailingWrite", edits: []edit{
		{"health.go", "	case nonPublisher && o == Unavailable", "	case o == Unavailable"}}},
	{name: "a full store shows the dead", tests: "FullStoreHidesTheDead", edits: []edit{
		{"local.go", "(in.settled() || in.Health.cannotWrite(in.Policy.Hold))", "in.settled()"}}},
}
