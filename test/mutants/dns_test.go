package mutants

// updates and restDNS are the drivers of DNS rules.
const updates, restDNS = "plugins/appsupport/rules/rfc2136", "plugins/appsupport/rules/edgegallery"

// dnsMutants are defects of what is believed of DNS servers, and of what they are sent.
var dnsMutants = []mutant{
	{name: "a success that nobody signed is believed", file: updates + "/exchange.go",
		old: `case tsig == nil && s.key != nil:`, new: `case false:`,
		pkg: updates, run: "TestAnAnswerThatCannotBeBelieved"},
	{name: "a success with a bad signature is believed", file: updates + "/exchange.go",
		old: `	case read != nil:
		return errSignature`, new: `	case false:
		return errSignature`,
		pkg: updates, run: "TestAnAnswerThatCannotBeBelieved"},
	{name: "the answer to another message is believed", file: updates + "/exchange.go",
		old: `case r.Id != m.Id || !r.Response`, new: `case !r.Response`,
		pkg: updates, run: "TestAnAnswerThatCannotBeBelieved"},
	{name: "a name that is an alias is called served", file: updates + "/exchange.go",
		old: `	case alias:
		return s.alias()`, new: `	case alias:
		return nil`,
		pkg: updates, run: "TestAnAliasIsNeverCalledServed"},
	{name: "the update does not demand that there is no alias", file: updates + "/rfc2136.go",
		old: `	m.RRsetNotUsed(`, new: `	new(dns.Msg).RRsetNotUsed(`,
		pkg: updates, run: "TestAnUpdateDemandsThatThereIsNoAlias"},
	{name: "a name of another zone is sent", file: updates + "/rfc2136.go",
		old: `if !dns.IsSubDomain(d.zone, want.name) {`, new: `if false {`,
		pkg: updates, run: "TestWhatIsNotOfTheZone"},
	{name: "a key that everybody can read is used", file: updates + "/key.go",
		old: `mode&0o026 != 0`, new: `mode&0o022 != 0`,
		pkg: updates, run: "TestTheKeyFileIsARule"},
	{name: "a removal that failed is a success", file: restDNS + "/edgegallery.go",
		old: `if err == nil && !absent {`, new: `if absent && !absent {`,
		pkg: restDNS, run: "TestARemovalThatFailed"},
	{name: "a redirect leads an update elsewhere", file: restDNS + "/edgegallery.go",
		old: `return http.ErrUseLastResponse`, new: `return nil`,
		pkg: restDNS, run: "TestNoRedirectIsFollowed"},
	{name: "a name is a path of dns-server", file: "plugins/appsupport/rules/driver/check.go",
		old: `if !PlainName(name) {`, new: `if name == "" {`,
		pkg: restDNS, run: "TestWhatItWouldNotAnswerFor"},
}
