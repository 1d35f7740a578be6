package heartbeat

// loadMutants are faults of intervals that follow the load.
var loadMutants = []mutant{
	{name: "load: an interval is kept by nothing", tests: "AnIntervalIsChangedSeldom", edits: []edit{
		{"load.go", "	if known && current < aim && p.bears(keepShare, current, l) {", "	if false {"}}},
	{name: "load: a longer interval than needed is kept", tests: "AnIntervalIsChangedSeldom|TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", "	if known && current < aim && ", "	if current > 0 && "}}},
	{name: "load: what has an interval of its own counts for nothing", tests: "TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", "max(all-shareParts*l.Fixed, ", "max(all, "}}},
	{name: "load: those with an interval of their own leave the others nothing", tests: "TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", ", all/shareParts)", ", 0)"}}},
	{name: "load: an old load lowers what others raise", tests: "AnOldLoadChoosesNoInterval", edits: []edit{
		{"flow_beat.go", "	case f.behind && in", "	case false && in"}}},
	{name: "load: a refusal counts as a fast store", tests: "ARefusalSaysNothing", edits: []edit{
		{"ratelimit.go", "	if !answered && ", "	if !answered && false && "}}},
	{name: "load: what was told before is forgotten when it is shortened twice", tests: "EveryTransaction", edits: []edit{
		{"txn.go", "max(s.Record.Previous, s.Record.Interval)", "s.Record.Interval"}}},
	{name: "load: the projection keeps the longer interval", tests: "WhatAPutShortened", edits: []edit{
		{"flow_beat.go", " || rec.Previous > rec.Interval)", ")"}}},
	{name: "load: it is aimed at all of the bound", tests: "TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", "aimShare, keepShare = 3, 4", "aimShare, keepShare = 5, 5"}}},
	{name: "load: two intervals are too near for a pace to tell them apart", tests: "TheIntervalsToChoose", edits: []edit{
		{"load.go", "	near := 4 * p.MaxInterval\n", "	near := 5 * p.MaxInterval\n"}}},
	{name: "load: who is SUSPENDED counts", tests: "EveryReplicaKnowsTheSameLoad", edits: []edit{
		{"load.go", "	if !r.Expires() {\n", "	if !r.Beating() {\n"}}},
	{name: "load: what is gone counts on", tests: "EveryReplicaKnowsTheSameLoad", edits: []edit{
		{"load.go", "	m.add(was, -1)\n", ""}}},
	{name: "load: all follow at once", tests: "FewIntervalsFollow", edits: []edit{
		{"load.go", " && in.Changes.take(in.Now)", ""}}},
	{name: "load: a full store is asked for leases", tests: "FewIntervalsFollow", edits: []edit{
		{"load.go", "!in.Health.Full && ", ""}}},
	{name: "load: a slow store gets as much to do", tests: "AStoreThatIsSlow", edits: []edit{
		{"ratelimit.go", "			e.changeLimit.set(changeRate(mean))\n", "			_ = mean\n"}}},
	{name: "load: a commit without a reply is given up when the load has changed", configs: "an interval that follows the load, alone, an un", edits: []edit{
		{"flow_beat.go", "		f.sought = f.target.Interval\n", ""}}},
	{name: "load: the window shrinks with the interval", configs: "an interval that follows the load", edits: []edit{
		{"txn.go", "	t.Record.Previous = max(s.Record.Previous, s.Record.Interval)\n	t.Record.Interval = interval\n	return t", "	t.Record.Window = s.Record.Window / s.Record.Interval * interval\n	t.Record.Interval = interval\n	return t"}}},
	{name: "load: an interval is lengthened when it is told", configs: "an interval that follows the load", edits: []edit{
		{"flow_beat.go", "	case want > rec.Interval:\n", "	case want > rec.Interval && rec.Proposed == 0:\n		f.announce(in, want)\n		f.txn = Lower\n		return f.commit(in, f.snap.lower(want))\n	case want > rec.Interval:\n"}}},
	{name: "load: what was lengthened before it was followed is forgotten when it is shortened", configs: "an interval that follows the load", edits: []edit{
		{"flow_beat.go", "	case want < rec.Interval:\n", "	case want < rec.Interval && rec.Previous == want:\n		return f.move(in, want, 0, in.Policy.Window(want))\n	case want < rec.Interval:\n"}}},
}
