package mutants

const words, surface = "mp1", "plugins"

// formMutants are defects in what requests may look like, and in when they are answered.
var formMutants = []mutant{
	{name: "a number with a fraction is cut", file: words + "/number.go",
		old: `	case negative || zeros < 0:`, new: `	case negative:`,
		pkg: words, run: "TestANumberWithoutAFraction"},
	{name: "a large exponent is reckoned with as it is", file: words + "/number.go",
		old: `exponent, text = min(max(n, -maxExponent), maxExponent), text[:i]`, new: `exponent, text = n%100, text[:i]`,
		pkg: words, run: "TestANumberWithoutAFraction"},
	{name: "a criterion that is not known is ignored", file: words + "/subscription.go",
		old: `c.onlyThese(criteriaMembers...)`, new: `c.only(criteriaMembers...)`,
		pkg: words, run: "TestWhatNarrowsASubscription"},
	{name: "a part of a category that is not known is ignored", file: words + "/subscription.go",
		old: `one.onlyThese(categoryMembers...)`, new: `one.only(categoryMembers...)`,
		pkg: words, run: "TestWhatNarrowsASubscription"},
	{name: "a criterion beside the filter is ignored", file: words + "/subscription.go",
		old: `if err = o.astray(); err != nil {`, new: `if err = o.astray(); false {`,
		pkg: words, run: "TestACriterionOutOfItsPlace"},
	{name: "what an application says of isLocal is believed", file: words + "/service.go",
		old: `if _, err = o.boolean("isLocal"); err != nil {`, new: `if info.IsLocal, err = o.boolean("isLocal"); err != nil {`,
		pkg: words, run: "TestIsLocal"},
	{name: "what an application said of isLocal is believed", file: words + "/mp1.go",
		old: "	yes := true\n	i.IsLocal = &yes", new: "	yes := true\n	if i.IsLocal == nil {\n		i.IsLocal = &yes\n	}",
		pkg: words, run: "TestIsLocal"},
	{name: "a withheld body is asked for, to be dropped", file: surface + "/bodies.go",
		old: `withheld := !e.body.begun &&`, new: `withheld := false &&`,
		pkg: surface, run: "TestAnAnswerDecided"},
	{name: "a body that does not come is waited for", file: surface + "/bodies.go",
		old: `	e.Header().Set("Connection", "close")`, new: ``,
		pkg: surface, run: "TestAnAnswerDecided"},
	{name: "the longest interval is longer than a connection lives", file: surface + "/run.go",
		old: `return max(leastIdle, longest+longest/4+30*time.Second)`, new: `return leastIdle + longest - longest`,
		pkg: surface, run: "TestAConnectionOutlives"},
}
