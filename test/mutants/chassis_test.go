package mutants

const plugged = "agent/chassis"

// chassisMutants are defects in the plugins of go-chassis.
var chassisMutants = []mutant{
	{name: "go-chassis is told that a heartbeat failed", file: plugged + "/registrator.go",
		old: `Heartbeat(string, string) (bool, error) { return true, nil }`, new: `Heartbeat(string, string) (bool, error) { return false, errUnknown }`,
		pkg: plugged, run: "TestAPlatformThatForgot"},
	{name: "an instance that go-chassis registers again is one more", file: plugged + "/registrator.go",
		old: `	if known.keeper != nil {
		return known.keeper, known.keeper.update(info)`, new: `	if false {
		return known.keeper, known.keeper.update(info)`,
		pkg: plugged, run: "TestAnInstanceIsRegistered"},
	{name: "an application that was killed while it was DOWN stays INACTIVE", file: plugged + "/keeper.go",
		old: `agent.Service{Info: info, OwnState: true}`, new: `agent.Service{Info: info}`,
		pkg: plugged, run: "TestAnApplicationThatWasKilled"},
	{name: "an application without protocols is registered", file: plugged + "/describe.go",
		old: `	if len(uris) == 0 {`, new: `	if len(uris) == 0 && len(protocols) > 0 {`,
		pkg: plugged, run: "TestAnApplication"},
	{name: "what is INACTIVE is called", file: plugged + "/discovery.go",
		old: `ok && list[i].State == mp1.Active && list`, new: `ok && list`,
		pkg: plugged, run: "TestACallFinds"},
	{name: "each call asks the platform, one after the other", file: plugged + "/discovery.go",
		old: `	if _, _, enough := p.known(); enough && !again {`, new: `	if _, _, enough := p.known(); false && enough && !again {`,
		pkg: plugged, run: "TestCallsAtOnce"},
	{name: "what a platform said is forgotten when it is away", file: plugged + "/discovery.go",
		old: `	if err == nil {
		p.answered, p.instances = true, up`, new: `	if true {
		p.answered, p.instances = true, up`,
		pkg: plugged, run: "TestWhatThePlatformSaid"},
	{name: "names are asked for without an end", file: plugged + "/discovery.go",
		old: `time.Since(p.wanted) > forgetTime`, new: `time.Since(p.wanted) < 0`,
		pkg: plugged, run: "TestANameThatNobody"},
	{name: "an application says itself whose its instance is", file: plugged + "/instance.go",
		old: `	delete(out.Metadata, appTag)
	if app != "" {`, new: `	if out.Metadata[appTag] == "" {`,
		pkg: plugged, run: "TestWhatOneApplication"},
	{name: "the lowest version is the latest", file: plugged + "/version.go",
		old: `slices.MaxFunc`, new: `slices.MinFunc`,
		pkg: plugged, run: "TestACallGets"},
	{name: "a range holds its upper bound", file: plugged + "/version.go",
		old: `compareVersions(version, below) < 0`, new: `compareVersions(version, below) <= 0`,
		pkg: plugged, run: "TestACallGets"},
	{name: "nobody is called at every interface", file: plugged + "/describe.go",
		old: `	if host, err = registry.FillUnspecifiedIP(host); err != nil {`, new: `	if _, err = registry.FillUnspecifiedIP(host); err != nil {`,
		pkg: plugged, run: "TestAnUnspecified"},
	{name: "a platform's certificate is what go-chassis makes of it", file: plugged + "/settings.go",
		old: `t.TLSClientConfig.RootCAs, t.TLSClientConfig.Certificates, t.TLSClientConfig.ServerName = c.RootCAs, c.Certificates, c.ServerName`,
		new: `t.TLSClientConfig = c`,
		pkg: plugged, run: "TestThePlatformsCertificate"},
}
