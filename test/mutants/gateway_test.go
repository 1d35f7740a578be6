package mutants

// gatewayMutants are defects in what is published at EdgeGallery's gateway, in what mepauth lets
// applications discover, and in whom both are taken for.
var gatewayMutants = []mutant{
	{name: "any certificate of the authority is believed", file: "plugins/edgegallery/pin/pin.go",
		old: `is != t.name {`, new: `is == "" {`,
		pkg: "plugins/edgegallery/pin", run: "TestOnlyTheConfiguredAuthorityAndNameAreBelieved"},
	{name: "the system's authorities are believed for the name", file: "plugins/edgegallery/pin/pin.go",
		old: `Roots: t.authorities.Current(), `, new: ``,
		pkg: "plugins/edgegallery/pin", run: "TestOnlyTheConfiguredAuthorityAndNameAreBelieved"},
	{name: "a certificate that has ended is believed", file: "plugins/edgegallery/pin/pin.go",
		old: `CurrentTime: t.now(),`, new: `CurrentTime: chain[0].NotBefore,`,
		pkg: "plugins/edgegallery/pin", run: "TestOnlyTheConfiguredAuthorityAndNameAreBelieved"},
	{name: "a redirect is followed", file: "plugins/edgegallery/pin/pin.go",
		old: `return http.ErrUseLastResponse`, new: `return nil`,
		pkg: "plugins/edgegallery/pin", run: "TestNoRedirectIsFollowed"},
	{name: "what mepauth said counts for ever", file: "plugins/edgegallery/mepauth/cache.go",
		old: `		if now >= e.until {
			e = nil`, new: `		if now >= e.until && e.failed {
			e = nil`,
		pkg: "plugins/edgegallery/mepauth", run: "TestAnAnswerCountsForSomeSecondsAndIsShared"},
	{name: "* in a list of required services is everything", file: "mp1/requiredservices.go",
		old: `text == "*" ||`, new: `strings.Contains(text, "*") ||`,
		pkg: "mp1", run: "TestRequiredServicesAreThoseOfEdgeGallerysMepauth"},
	{name: "applications discover what they do not require", file: "plugins/servicemgmt/servicemgmt.go",
		old: `if may.Allows(s.Info().SerName) {`, new: `if !may.Allows("") {`,
		pkg: "plugins/servicemgmt", run: "TestApplicationsDiscoverWhatTheyRequire"},
	{name: "an entry is open before it wants a token", file: "plugins/edgegallery/kong/admin.go",
		old: `map[string]any{"name": jwt, "config"`, new: `map[string]any{"name": "cors", "config"`,
		pkg: "plugins/edgegallery/kong", run: "TestACrashAtAnyRequestLeavesNothingBehind"},
	{name: "the gateway is told before the store", file: "plugins/edgegallery/kong/publish.go",
		old: `	next, differs, links := s.plan()
	if differs {`, new: `	next, differs, links := s.plan()
	if differs && len(next.Removed) > 0 {`,
		pkg: "plugins/edgegallery/kong", run: "TestACrashAtAnyRequestLeavesNothingBehind"},
	{name: "a removed name is forgotten before the gateway has confirmed it", file: "plugins/edgegallery/kong/publish.go",
		old: `		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
		if err != nil {`, new: `		if err != nil && errors.Is(err, errRefused) {`,
		pkg: "plugins/edgegallery/kong", run: "TestARemovedNameIsKeptUntilTheGatewayConfirmsIt"},
	{name: "entries that are shown before their service are leftovers", file: "plugins/edgegallery/kong/publish.go",
		old: `		} else if there {
			return nil
		}`, new: `		} else if there {
			there = false
		}`,
		pkg: "plugins/edgegallery/kong", run: "TestEntriesWithoutTheirServiceAreNotTakenForLeftovers"},
	{name: "names of others are touched", file: "plugins/edgegallery/kong/services.go",
		old: `!wanted && validName(name) &&`, new: `!wanted &&`,
		pkg: "plugins/edgegallery/kong", run: "TestImportedNamesStay"},
	{name: "an application publishes Kong's Admin API", file: "plugins/edgegallery/kong/local.go",
		old: `ip.IsLoopback() || ip.IsUnspecified()`, new: `ip.IsUnspecified()`,
		pkg: "plugins/edgegallery/kong", run: "TestThePlatformItselfIsNotPublished"},
	{name: "a name leads to Kong's Admin API", file: "plugins/edgegallery/kong/local.go",
		old: `return !slices.Contains(g.unnamed, port) && !`, new: `return !`,
		pkg: "plugins/edgegallery/kong", run: "TestThePlatformItselfIsNotPublished"},
	{name: "our own erasure is no news", file: "plugins/edgegallery/kong/services.go",
		old: `e.At > s.seen || erased`, new: `e.At > s.seen`,
		pkg: "plugins/edgegallery/kong", run: "TestAServiceThatComesBack"},
	{name: "a callback reaches the site's own pod", file: "plugins/notify/policy.go",
		old: `p.allowedBy(a, netip.Prefix.IsSingleIP)`, new: `p.allowedBy(a, netip.Prefix.IsValid)`,
		pkg: "plugins/notify", run: "TestNoCallbackReachesTheSitesOwnPod"},
	{name: "every replica publishes", file: "plugins/edgegallery/kong/publish.go",
		old: `g.options.Rank() <= 1`, new: `g.options.Rank() <= 9`,
		pkg: "plugins/edgegallery/kong", run: "TestOneReplicaPublishesAndTheNextTakesOver"},
}
