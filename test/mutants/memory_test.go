package mutants

// memoryMutants are defects of what is read without a copy, or into memory that is used again.
var memoryMutants = []mutant{
	{name: "one key is read by a copy of what was written", file: etcdRoom + "/here.go",
		old: `mvcc.SharedBufReadTxMode`, new: `mvcc.ConcurrentReadTxMode`,
		pkg: etcdRoom, run: "TestAReadOfOneKeyCopiesNothingThatWasWritten"},
	{name: "the quick reader of a log believes each record", file: etcdRoom + "/datadir/frames.go",
		old: `rec.Data); rec.Crc != f.crc {`, new: `rec.Data); rec.Crc != f.crc && false {`,
		pkg: etcdRoom + "/datadir", run: "TestALogThatIsReadQuicklyIsReadAlike"},
	{name: "a segment of the log need not follow another", file: etcdRoom + "/datadir/log.go",
		old: `|| n == 0 && !first && l.crc != rec.Crc {`, new: `{`,
		pkg: etcdRoom + "/datadir", run: "TestALogThatIsReadQuicklyIsReadAlike"},
	{name: "a refused batch leaves its ids", file: server + "/heartbeats.go",
		old: `clear(m.beats[:cap(m.beats)])`, new: `clear(m.beats)`,
		pkg: server, run: "TestARefusedBatchLeavesNothingOfItsText"},
}
