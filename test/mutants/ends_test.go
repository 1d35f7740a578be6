package mutants

const etcdRoom = "plugins/servicecenter/etcd"

// endMutants are defects of what is known of a lease that has run out.
var endMutants = []mutant{
	{name: "a renewal that is under way does not keep its lease", file: etcdRoom + "/leaselife.go",
		old: `return left, left <= 0 && !busy`, new: `_ = busy; return left, left <= 0`,
		pkg: etcdRoom, run: "TestARenewalThatIsStopped|TestRenewalsAndEndsAtRandom"},
	{name: "the last second of a lease is none", file: etcdRoom + "/leaselife.go",
		old: `return left, left <= 0 && !busy`, new: `return left, left < time.Second && !busy`,
		pkg: etcdRoom, run: "TestALeaseIsEndedWhenItHasRunOut"},
	{name: "a lease ends a whole life after its renewal began", file: etcdRoom + "/lessor.go",
		old: `k.finish(l.now(), ttl, err)`, new: `k.finish(k.now, ttl, err)`,
		pkg: etcdRoom, run: "TestRenewalsAndEndsAtRandom"},
	{name: "what a worker renews does not count", file: etcdRoom + "/lessor.go",
		old: `	r.known.finish(l.now(), r.ttl, r.err)`, new: `	r.known.finish(0, r.ttl, r.err)`,
		pkg: etcdRoom, run: "TestRenewalsAndEndsAtRandom"},
	{name: "a lease is forgotten while it is renewed", file: etcdRoom + "/leaselife.go",
		old: `	if l.renewals.Load() == 0 {
		return true`, new: `	if l.renewals.Load() >= 0 {
		return true`,
		pkg: etcdRoom, run: "TestARenewalThatIsStopped"},
	{name: "a new leader extends nothing", file: etcdRoom + "/lessor.go",
		old: ` || l.term() != l.opened {`, new: ` {`,
		pkg: etcdRoom, run: "TestWhatNobodyKnows"},
	{name: "a lease that nobody here has renewed has run out", file: etcdRoom + "/lessor.go",
		old: `known == nil || known.atLeast.Load() == 0 ||`, new: `known == nil ||`,
		pkg: etcdRoom, run: "TestWhatNobodyKnows"},
}
