package mutants

const sdk = "mp1/client"

// clientMutants are defects in the Mp1 client.
var clientMutants = []mutant{
	{name: "a link leads a token into the clear", file: sdk + "/liveness.go",
		old: `u.Scheme != c.origin.Scheme || `, new: ``,
		pkg: sdk, run: "TestTheSchemeOfAnHref"},
	{name: "a redirect is followed", file: sdk + "/client.go",
		old: `return http.ErrUseLastResponse }`, new: `return nil }`,
		pkg: sdk, run: "TestARefusalIsAProblem"},
	{name: "a client waits for ever", file: sdk + "/client.go",
		old: `Timeout: defaultTimeout, `, new: ``,
		pkg: sdk, run: "TestACallWithoutAnHTTPClient"},
	{name: "a platform that takes PUT no more is asked twice", file: sdk + "/liveness.go",
		old: `if refusesPatch(err) && q.method == http.MethodPatch {`, new: `if refusesPatch(err) {`,
		pkg: sdk, run: "TestAHeartbeatThatIsNotTakenByPUT"},
}
