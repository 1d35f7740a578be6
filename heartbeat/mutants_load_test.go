package heartbeat

// loadMutants are faults of intervals that follow the load.
var loadMutants = []mutant{
	{name: "load: an interval is kept by nothing", tests: "AnIntervalIsChangedSeldom", edits: []edit{
		{"load.go", "	if known && current < aim && p.bears(keepShare, current, l) {", "	if false {"}}},
	{name: "load: a longer interval than needed is kept", tests: "AnIntervalIsChangedSeldom|TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", "	if known && current < aim && ", "	if current > 0 && "}}},
	{name: "load: what has an interval of its own counts for nothing", tests: "TheIntervalFollowsTheLoad", edits: []edit{
		{"load.go", " - shareParts*l.Fixed\n", "\n"}}},
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
		{"ratelimit.go", "		e.changeLimit.set(changeRate(e.changeTook.note(took)))\n", ""}}},
	{name: "load: a commit without a reply is given up when the load has changed", configs: "an interval that follows the load, alone, an un", edits: []edit{
		{"flow_beat.go", "		f.sought = f.target.Interval\n", ""}}},
	{name: "load: the window shrinks with the interval", configs: "an interval that follows the load", edits: []edit{
		{"txn.go", "	t.Record.Previous = s.Record.Interval\n	t.Record.Interval = interval\n	return t", "	t.Record.Window = s.Record.Window / s.Record.Interval * interval\n	t.Record.Interval = interval\n	return t"}}},
	{name: "load: an interval is lengthened when it is told", configs: "an interval that follows the load", edits: []edit{
		{"flow_beat.go", "	case want > rec.Interval:\n", "	case want > rec.Interval && rec.Proposed == 0:\n		f.announce(in, want)\n		f.txn = Lower\n		return f.commit(in, f.snap.lower(want))\n	case want > rec.Interval:\n"}}},
	{name: "load: what was lengthened before it was followed is forgotten when it is shortened", configs: "an interval that follows the load", edits: []edit{
		{"flow_beat.go", "	case want < rec.Interval:\n", "	case want < rec.Interval && rec.Previous == want:\n		return f.move(in, want, 0, in.Policy.Window(want))\n	case want < rec.Interval:\n"}}},
}
