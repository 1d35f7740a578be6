package mutants

// terminationMutants are defects of how applications are told of their termination.
var terminationMutants = []mutant{
	{name: "terminations are sent together", file: notifier + "/queue.go",
		old: `	if alone || q.pending[0].terminate != nil {`, new: `	if alone {`,
		pkg: notifier, run: "TestTerminationsAreNever|TestTheModelOfDelivery"},
	{name: "another's termination is told", file: "plugins/subject.go",
		old: `return asked.OfTermination() && asked.AppInstanceID == s.Terminated`, new: `return asked.OfTermination()`,
		pkg: notifier, run: "TestTheModelOfDelivery|TestABacklogFinds"},
	{name: "a termination is told to whoever asked for every service", file: "plugins/subject.go",
		old: `return !asked.OfTermination() && asked.FilteringCriteria.Match(s.Service)`, new: `return asked.FilteringCriteria.Match(s.Service)`,
		pkg: "plugins", run: "TestATerminationAndAService"},
	{name: "a termination that nobody was told of is erased", file: "plugins/cursorset.go",
		old: `if e.Termination == nil && (!w.some || e.At <= w.first) {`, new: `if !w.some || e.At <= w.first {`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "each API lists the subscriptions of both", file: notifier + "/registry.go",
		old: `|| ownerOf(en.sub) != (owner{app, r.subscriptionType == mp1.TerminationSubscriptionType}) {`, new: `|| en.sub.Owner != app {`,
		pkg: notifier, run: "TestSubscriptionsOfEachType"},
	{name: "a termination begins without its event", file: kept + "/applications.go",
		old: `[]clientv3.Cmp{absent(string(put.KeyBytes()))}, put)`, new: `[]clientv3.Cmp{absent(string(put.KeyBytes()))})`,
		pkg: kept, run: "TestATerminationBegins"},
	{name: "the release before takes who did not register for registered", file: kept + "/applications.go",
		old: `		v.Info = mp1.AppInfo{}
`, new: ``,
		pkg: kept, run: "TestAnApplicationThatDidNotRegister"},
	{name: "an application subscribes to the termination of another", file: "mp1/subscription.go",
		old: `	if s.AppInstanceID != app {`, new: `	if false {`,
		pkg: "mp1", run: "TestASubscriptionToATermination"},
}
