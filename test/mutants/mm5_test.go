package mutants

const platformSide = "plugins/edgegallery"

// mm5Mutants are defects of what EdgeGallery's other components are answered.
var mm5Mutants = []mutant{
	{name: "a termination that fails is not answered with 200", file: platformSide + "/termination.go",
		old: `			l.remember(app, errors.Join(failed, err))`, new: `			return err`,
		pkg: platformSide, run: "TestATerminationIsAnsweredWith200"},
	{name: "a termination that fails is forgotten", file: platformSide + "/termination.go",
		old: `now.Leaving || failed != nil, l.credentials != nil`, new: `now.Leaving, l.credentials != nil`,
		pkg: platformSide, run: "TestATerminationIsAnsweredWith200"},
	{name: "services stay until the application has left", file: platformSide + "/termination.go",
		old: `	for _, s := range all {
		err = errors.Join(err,`, new: `	for _, s := range all[:0] {
		err = errors.Join(err,`,
		pkg: platformSide, run: "TestATerminationRemovesTheServicesAtOnce"},
	{name: "mepauth is asked without a pause", file: platformSide + "/termination.go",
		old: `	return now >= l.waits[app].until`, new: `	return now >= 0`,
		pkg: platformSide, run: "TestMepauthIsAskedUntilItForgets"},
	{name: "mepauth is asked once", file: platformSide + "/termination.go",
		old: `		if l.tried(app, err); err != nil {
			return
		}`, new: `		l.tried(app, err)`,
		pkg: platformSide, run: "TestMepauthIsAskedUntilItForgets"},
	{name: "a DNS server that restarts fails a task", file: platformSide + "/worker.go",
		old: `reason != "" && running.Expired(now, failTime)`, new: `reason != ""`,
		pkg: platformSide, run: "TestATaskFailsWithTheReason"},
	{name: "the rules of a task that failed stay", file: platformSide + "/worker.go",
		old: `err == nil && t.Before != nil:`, new: `err == nil && false:`,
		pkg: platformSide, run: "TestATaskFailsWithTheReason"},
	{name: "a task succeeds before the driver confirms it", file: platformSide + "/worker.go",
		old: `waiting || o.Driver == "" || o.State != r.DNS[i].Rule.State`, new: `waiting || o.Driver == "other"`,
		pkg: platformSide, run: "TestATaskOfWhichTheDriverSaysNothing"},
	{name: "a task brings back the rules of a removed application", file: platformSide + "/worker.go",
		old: `	case !admitted:
		w.finish(`, new: `	case !admitted && false:
		w.finish(`,
		pkg: platformSide, run: "TestATaskOfAnApplicationThatIsRemoved"},
	{name: "every replica does the work", file: platformSide + "/worker.go",
		old: `w.rank() > 1`, new: `w.rank() > 2`,
		pkg: platformSide, run: "TestOtherReplicasLeaveTheWork"},
	{name: "a late watch takes back what was erased", file: platformSide + "/deployments.go",
		old: `d.At > k.seen || k.apps[d.App] != nil`, new: `true`,
		pkg: platformSide, run: "TestWhatWasWrittenIsKnownBeforeTheWatch"},
	{name: "two tasks of an application go on", file: platformSide + "/appd.go",
		old: `		if runningTask(&now) != nil {`, new: `		if false {`,
		pkg: platformSide, run: "TestWhatCannotBeConfigured"},
	{name: "calls of services that are not there take room", file: platformSide + "/calls.go",
		old: `!ok || !known(serName)`, new: `!ok`,
		pkg: platformSide, run: "TestCallsOfFewServicesAreKept"},
	{name: "the log makes up as many names as it likes", file: platformSide + "/calls.go",
		old: `			c.dropped.Inc()
			return`, new: `			c.dropped.Inc()`,
		pkg: platformSide, run: "TestCallsOfFewServicesAreKept"},
	{name: "MECM's name of the DNS rules is not known", file: "mp1/appdconfiguration.go",
		old: `		dns = appDDNSRulesIn`, new: `		dns = appDDNSRules`,
		pkg: "mp1", run: "TestAConfigurationOfMECM"},
	{name: "MECM's rules wait for their application", file: "mp1/appdconfiguration.go",
		old: `	if isEmpty(o.members["state"]) {`, new: `	if false {`,
		pkg: "mp1", run: "TestAConfigurationOfMECM"},
}
