package mutants

// edgeGalleryMutants are defects in what EdgeGallery's files and bodies are taken for.
var edgeGalleryMutants = []mutant{
	{name: "0 asks for heartbeats under compat", file: "mp1/edgegallery.go",
		old: `			delete(o.members, "livenessInterval")`, new: `			_ = i`,
		pkg: "mp1", run: "TestWhatEdgeGallerysServerTakesIsCompleted"},
	{name: "a port without a host is an address that says nothing", file: "mp1/edgegallery.go",
		old: `isEmpty(a["host"]) && (a["port"]`, new: `isEmpty(a["host"]) || (a["port"]`,
		pkg: "mp1", run: "TestWhatEdgeGallerysServerRefusesStaysRefused"},
	{name: "everybody's descriptions are completed", file: "mp1/server/handlers.go",
		old: `	if s.options.EdgeGallery {
		label, body = mp1.TransportIDOf(body), mp1.CompleteRegistration(body)
	}`, new: `	body = mp1.CompleteRegistration(body)`,
		pkg: "mp1/server", run: "TestDescriptionsAreCompletedOnlyUnderCompat"},
	{name: "everybody's parameters are EdgeGallery's", file: "mp1/server/handlers.go",
		old: `	if s.options.EdgeGallery {
		return mp1.ParseQuery(mp1.CompleteQuery(r.URL.RawQuery))
	}`, new: `	return mp1.ParseQuery(mp1.CompleteQuery(r.URL.RawQuery))`,
		pkg: "mp1/server", run: "TestAnswersAreExtendedOnlyUnderCompat"},
	{name: "a service without a category has none under compat", file: "mp1/edgegallery_answer.go",
		old: "SerCategory      CategoryRef          `json:\"serCategory\"`", new: "SerCategory      CategoryRef          `json:\"serCategory,omitzero\"`",
		pkg: "mp1", run: "TestWhatEdgeGallerysClientsReadIsAlwaysThere"},
	{name: "the dead come first under compat", file: "plugins/servicemgmt/index.go",
		old: `x.edgeGallery && (a.state`, new: `false && (a.state`,
		pkg: "plugins/servicemgmt", run: "TestActiveServicesComeFirstOnlyUnderCompat"},
	{name: "a credential that nothing uses is taken", file: "conf/agent_unused.go",
		old: `s.given && s.of != i.Kind`, new: `s.given && s.of != i.Kind && i.Kind != Anonymous`,
		pkg: "conf", run: "TestWhatIsOfNoUseIsRefused"},
	{name: "the file wins over EdgeGallery's variables", file: "conf/agent.go",
		old: `gallery.implied, inFile, gallery.given, inEnviron`, new: `gallery.implied, gallery.given, inFile, inEnviron`,
		pkg: "conf", run: "TestEdgeGallerysVariablesWinOverTheFile"},
	{name: "the variables of a Service make an environment EdgeGallery's", file: "conf/site.go",
		old: `[]string{"MEPSERVER_CERT_DOMAIN_NAME", "MEPSERVER_APIGW_HOST"}`, new: `[]string{"MEPSERVER_APIGW_PORT", "MEPSERVER_APIGW_HOST"}`,
		pkg: "conf", run: "TestKubernetesVariablesAreNeither"},
	{name: "EdgeGallery's environment wins over the file", file: "conf/load.go",
		old: `append(gallery.values, values...)`, new: `append(values, gallery.values...)`,
		pkg: "conf", run: "TestOurOwnSettingsWinOverTheChartsEnvironment"},
	{name: "without certificates EdgeGallery's environment is plain", file: "conf/site.go",
		old: `		if origin[f.Path].rank <= rankSite {
			*all = append(*all, f)`, new: `		if false {
			*all = append(*all, f)`,
		pkg: "conf", run: "TestWhatCannotWorkInTheChartsEnvironmentIsRefused"},
	{name: "the password of the key stays in the environment", file: "conf/site.go",
		old: `names := []string{"TLS_KEY", "ROOT_KEY"}`, new: `names := []string{"ROOT_KEY"}`,
		pkg: "conf", run: "TestSecretsOfTheChartsEnvironmentAreNeverShown"},
	{name: "a map is merged into itself", file: "conf/agent_instanceinfo.go",
		old: `case sn.merging[m]:`, new: `case false:`,
		pkg: "conf", run: "TestFaultsOfEdgeGallerysFileNameLineKeyAndRule"},
	{name: "a key does not go into what a merge has filled", file: "conf/agent_values.go",
		old: `out, ok := into.(map[string]any)`, new: `out, ok := map[string]any(nil), false`,
		pkg: "conf", run: "TestEveryFormThatEdgeGallerysAgentTakesIsRead"},
	{name: "the local API shows a service that is SUSPENDED", file: "agent/local_edgegallery.go",
		old: `mp1.Active: 0, mp1.Suspended: 1`, new: `mp1.Active: 1, mp1.Suspended: 0`,
		pkg: "agent", run: "TestTheLocalAPIShowsAnEndpointThatIsAlive"},
}
