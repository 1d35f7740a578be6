package mutants

const ruleKeeper = "plugins/appsupport/rules"

// ruleMutants are defects of how rules are kept and applied.
var ruleMutants = []mutant{
	{name: "a rule is active without the driver's word", file: ruleKeeper + "/state.go",
		old: `	o := plugins.RuleOutcome{State: mp1.RuleInactive, Time: now}`, new: `	o := plugins.RuleOutcome{State: next.State, Time: now}`,
		pkg: ruleKeeper, run: "TestADriverThatNeverAnswers"},
	{name: "a word counts for what is wanted by now", file: ruleKeeper + "/state.go",
		old: `!applied || !reflect.DeepEqual(wanted(was, n), wanted(now, n))`, new: `!applied || reflect.DeepEqual(wanted(was, n), nil)`,
		pkg: ruleKeeper, run: "TestAWordToAnEarlierWish"},
	{name: "removed names are forgotten", file: ruleKeeper + "/state.go",
		old: `		if !untouched(&was.DNS[i]) {`, new: `		if false {`,
		pkg: ruleKeeper, run: "TestADriverThatNeverAnswers|TestNamesOfARemovedApplication"},
	{name: "a name that nobody activated is removed", file: ruleKeeper + "/state.go",
		old: `		if !untouched(&was.DNS[i]) {`, new: `		if true {`,
		pkg: ruleKeeper, run: "TestTheDriverIsNotToldOfRules"},
	{name: "two applications have one name", file: ruleKeeper + "/change.go",
		old: `	case k.taken(next.App, added):`, new: `	case false:`,
		pkg: ruleKeeper, run: "TestTwoApplicationsCannotHaveOneName"},
	{name: "the first of several replicas does not lead", file: ruleKeeper + "/reconcile.go",
		old: `r.rank() <= 1`, new: `r.rank() == 0`,
		pkg: ruleKeeper, run: "TestOneReplicaCallsASharedDriver"},
	{name: "a file of somebody else is replaced", file: ruleKeeper + "/hosts/hosts.go",
		old: `len(now) > 0 && !bytes.HasPrefix(now, []byte(header))`, new: `false`,
		pkg: ruleKeeper + "/hosts", run: "TestAFileOfSomebodyElse"},
	{name: "a link is followed", file: ruleKeeper + "/hosts/hosts.go",
		old: `!info.Mode().IsRegular()`, new: `false`,
		pkg: ruleKeeper + "/hosts", run: "TestAFileOfSomebodyElse"},
	{name: "a wildcard takes the names of others", file: ruleKeeper + "/names.go",
		old: `(r < '0' || r > '9') && r != '-' && r != '_'`, new: `(r < '0' || r > '9') && r != '-' && r != '_' && r != '*'`,
		pkg: ruleKeeper, run: "TestNamesHaveOneForm"},
}
