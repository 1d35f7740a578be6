package mutants

// ownershipMutants are defects of an agent that is not the only one of a registration.
var ownershipMutants = []mutant{
	{name: "an agent is ready before the platform has entered it", file: client + "/ownership.go",
		old: `return r.joined || !a.platform.keepsAgents()`, new: `return true`,
		pkg: client, run: "TestTheOldAgentMayBeStopped"},
	{name: "an agent that was away does not join again", file: client + "/ownership.go",
		old: `		r.updatePending, r.updateNotBefore, r.onlyJoins = true, time.Time{}, true
`, new: "",
		pkg: client, run: "TestAnAgentThatWasAway"},
	{name: "an agent that joins again overrules a newer one", file: client + "/ownership.go",
		old: `	if r.onlyJoins && r.registeredDigest == r.digest {`, new: `	if false {`,
		pkg: client, run: "TestWhoJoinsAgain"},
	{name: "a join sets ACTIVE what the application has set INACTIVE", file: client + "/ownership.go",
		old: `		info.State = mp1.Inactive
`, new: "",
		pkg: client, run: "TestANewAgentLeavesAServiceInactive"},
	{name: "what is left to another agent is a failure", file: client + "/ownership.go",
		old: `case s == http.StatusConflict && counted:`, new: `case s == http.StatusConflict && !counted:`,
		pkg: client, run: "TestOfTwoReplicas"},
	{name: "the clock of the platform is believed", file: client + "/ownership.go",
		old: `last := r.own.stamp.Add(r.lastBeat.Sub(r.own.sent))`, new: `last := r.lastBeat`,
		pkg: client, run: "TestWhatSomebodyElseKeepsAlive"},
	{name: "what was found and never beaten is taken away", file: client + "/ownership.go",
		old: `return true // it was found`, new: `return false // it was found`,
		pkg: client, run: "TestWhatWasFoundAndNeverBeaten"},
	{name: "what the end cuts off is left behind", file: client + "/shutdown.go",
		old: `r.timer.due = now // its wait is over`, new: `_ = now`,
		pkg: client, run: "TestARegistrationThatTheEndCutsOff"},
	{name: "a sick application is joined", file: client + "/requests.go",
		old: `return !r.healthy && !setsInactive && r.stage != withdrawing`, new: `return !r.healthy && !setsInactive && r.stage != withdrawing && r.stage != updating`,
		pkg: client, run: "TestAnApplicationThatIsNotWell"},
	{name: "a POST follows an old list", file: client + "/requests.go",
		old: `if time.Since(r.listedAt) > a.goodFor() {`, new: `if false {`,
		pkg: client, run: "TestAnOldList"},
	{name: "a list that is behind brings back what is gone", file: client + "/registration.go",
		old: `r.goneID, r.id, r.livenessPath = r.id, "", ""`, new: `r.id, r.livenessPath = "", ""`,
		pkg: client, run: "TestAListThatIsBehind"},
	{name: "nobody looks for doubles", file: client + "/doubles.go",
		old: `r.surplus = shown && at >= kept[identity]; r.surplus`, new: `shown && at < 0`,
		pkg: client, run: "TestTwoAgentsThatStartAtOnce"},
	{name: "both agents withdraw their doubles", file: client + "/doubles.go",
		old: `shown && at >= kept[identity]`, new: `shown && at >= 0 && len(alike[identity]) > kept[identity]`,
		pkg: client, run: "TestTwoAgentsThatStartAtOnce|TestWhatWasThereBefore"},
	{name: "more than look for one are taken at a gateway", file: client + "/matching.go",
		old: `if len(left) > len(services) {`, new: `if false {`,
		pkg: client, run: "TestWhatMayBeAnothers"},
	{name: "what differs in host and port only is taken", file: client + "/matching.go",
		old: `return ours.around != c.around`, new: `return true`,
		pkg: client, run: "TestARegistrationIsFound"},
	{name: "a second request is sent beside the first", file: client + "/requests.go",
		old: `	if r.timer.running {
		return
	}
	switch {`, new: `	switch {`,
		pkg: client, run: "TestAnUpdateAndARemovalDuringARequest"},
	{name: "two agents that live have one place", file: client + "/place_linux.go",
		old: `		_ = f.Close() // nothing was written
		return nil
`, new: `		return f
`,
		pkg: client, run: "TestAPlaceIsOnesOwn"},
	{name: "the order of URIs tells endpoints apart", file: words + "/normal.go",
		old: `	slices.Sort(out)
`, new: "",
		pkg: words, run: "TestDescriptionsOfOneMeaning"},
	{name: "another agent's echo counts as ours", file: words + "/client/call.go",
		old: `resp.Header.Get(agentHeader) == c.agent`, new: `resp.Header.Get(agentHeader) != ""`,
		pkg: words + "/client", run: "TestAPlatformThatEchoes"},
}
