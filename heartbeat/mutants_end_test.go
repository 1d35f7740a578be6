package heartbeat

// endMutants are faults of how a replica ends leases by itself.
var endMutants = []mutant{
	{name: "end: the hold is over with the reply to END", tests: "ADeathIsFoundToTheMoment", edits: []edit{
		{"flow_claim.go", "since: in.Health.Credited}\n", "since: in.Health.Credited.Add(-in.Policy.Hold)}\n"}}},
	{name: "end: the reply to END begins no hold", tests: "ADeathIsFoundToTheMoment", edits: []edit{
		{"engine.go", "	if t.Kind == End {\n		e.beginHold(en, t)\n", "	if false {\n		e.beginHold(en, t)\n"}}},
	{name: "end: no tick comes when a window is over", tests: "ADeathIsFoundToTheMoment", edits: []edit{
		{"run.go", "		early.Reset(e.nextTick(last))\n", ""}}},
	{name: "end: whoever beats wakes the ticks", tests: "WhoBeatsWakesNobody", edits: []edit{
		{"silence.go", "	if ok && over <= at {", "	if ok {"}}},
	{name: "end: no lease is reserved", tests: "ALeaseIsReserved", edits: []edit{
		{"engine.go", "		e.Store.Reserve(ctx, a.Lease)\n", ""}}},
	{name: "end: a lease is reserved once and for all", tests: "ALeaseIsReserved", edits: []edit{
		{"local.go", "l.silenceBefore, l.reserved = false, 0, false\n", "l.silenceBefore = false, 0\n"}}},
	{name: "end: a lease is reserved again and again", tests: "ALeaseIsReserved", edits: []edit{
		{"flow_end.go", "		f.step, in.Local.reserved = endReserve, true\n", "		f.step = endReserve\n"}}},
	{name: "end: the leases of those who beat are reserved", tests: "ALeaseIsReserved|TheLivingCostNoQuestion", edits: []edit{
		{"flow_end.go", "return min(r.window()/4, longestReserve)", "return r.window() * 3 / 4"}}},
	{name: "end: what is reserved is ended when it is", configs: "prompt, with time to reserve", edits: []edit{
		{"flow_end.go", "		return Action{Do: DoReserve, Lease: in.Known.Record.Lease}\n", "		return Action{Do: DoCommit, Txn: in.Known.expire(End)}\n"}}},
	{name: "end: the lease is ended without asking", configs: "prompt$", edits: []edit{
		{"flow_end.go", "	return Action{Do: DoEnd, Lease: in.Known.Record.Lease, Txn: in.Known.expire(End)}\n", "	return Action{Do: DoCommit, Txn: in.Known.expire(End)}\n"}}},
	{name: "end: it is asked in one step and ended in another", configs: "prompt, a change of leader$", edits: []edit{
		{"flow_end.go", "	return Action{Do: DoEnd, Lease: in.Known.Record.Lease, Txn: in.Known.expire(End)}\n", "	return Action{Do: DoAge, Lease: in.Known.Record.Lease}\n"},
		{"flow_end.go", "	f.left, f.ended = r.Left, r.Left == 0\n", "	if r.Age >= in.Known.Record.window() && r.Age != 0 {\n		return Action{Do: DoCommit, Txn: in.Known.expire(End)}\n	}\n"}}},
	{name: "end: a second that is left is none", configs: "prompt$", edits: []edit{
		{"flow_end.go", "	f.left, f.ended = r.Left, r.Left == 0\n", "	if r.Left > 0 && r.Left <= time.Second {\n		return Action{Do: DoCommit, Txn: in.Known.expire(End)}\n	}\n"}}},
	{name: "end: what was asked once is not asked again", configs: "prompt$|prompt, unanswered", edits: []edit{
		{"flow_end.go", "	return Action{Do: DoEnd, Lease: in.Known.Record.Lease, Txn: in.Known.expire(End)}\n", "	if in.Local.askEndAt != 0 {\n		return Action{Do: DoCommit, Txn: in.Known.expire(End)}\n	}\n	return Action{Do: DoEnd, Lease: in.Known.Record.Lease, Txn: in.Known.expire(End)}\n"}}},
}
