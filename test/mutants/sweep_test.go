package mutants

// sweepMutants are faults of the comparison of what was written, which is made a part at a time.
var sweepMutants = []mutant{
	{name: "a part of what was written passes for all of it", file: kept + "/history_read.go",
		old: `first, last := newRevisionSum(since), newRevisionSum(upTo)`, new: `first, last := newRevisionSum(since), newRevisionSum(int64(head))`,
		pkg: kept, run: "TestABurstIsComparedAPart"},
	{name: "a part begins behind what the one before left out", file: kept + "/history_read.go",
		old: `if ev.Kv.ModRevision > upTo {`, new: `if ev.Kv.ModRevision >= upTo {`,
		pkg: kept, run: "TestABurstIsComparedAPart"},
	{name: "half of a revision passes for all of it", file: kept + "/history_read.go",
		old: `if r.upTo = at - 1; r.upTo <= since {`, new: `if r.upTo = at; r.upTo <= since {`,
		pkg: kept, run: "TestWhatIsLargeIsCompared"},
	{name: "a range that was read further than the others counts", file: kept + "/history_read.go",
		old: `upTo = min(upTo, r.upTo)`, new: `upTo = max(upTo, r.upTo)`,
		pkg: kept, run: "TestWhatIsLargeIsCompared"},
	{name: "a burst waits for the next sweep", file: engine + "/sweep.go",
		old: `at-since >= MostCompared`, new: `at < since`,
		pkg: engine, run: "TestABurstIsComparedAsItComes"},
	{name: "a sweep ends with its first part", file: engine + "/sweep.go",
		old: `at <= since || at >= shown`, new: `at <= since || at <= shown`,
		pkg: engine, run: "TestASweepComparesPartAfterPart"},
	{name: "who is gone is forgotten before the watch has shown it", file: engine + "/departed.go",
		old: `max(v.recordSeen, v.projectionSeen) > watched`, new: `watched < 0`,
		pkg: engine, run: "TestWhoIsGoneIsForgotten"},
	{name: "who is gone is forgotten before the next part is compared", file: engine + "/departed.go",
		old: `watched = min(watched, at)`, new: `watched = max(watched, at)`,
		pkg: engine, run: "TestWhoIsGoneIsForgotten"},
}
