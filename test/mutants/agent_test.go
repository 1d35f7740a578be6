package mutants

const client = "agent"

// agentMutants are defects in the stages of a service in the agent.
var agentMutants = []mutant{
	{name: "an event does not go through the table", file: client + "/requests.go",
		old: `	r.step(registerFailed)
`, new: "",
		pkg: client, run: "TestTheTableIsWhatServicesGoThrough"},
	{name: "a refused heartbeat registers the service again", file: client + "/transitions.go",
		old: `heartbeatRefused: {from: byStage{beating: checking}`, new: `heartbeatRefused: {from: byStage{beating: registering}`,
		pkg: client, run: "TestEveryCellOfTheTable"},
	{name: "a cell is expected that no service meets", file: client + "/transitions.go",
		old: `notListed:       {from: byStage{searching: registering}`, new: `notListed:       {from: byStage{searching: registering, checking: registering}`,
		pkg: client, run: "TestTheTableIsWhatServicesGoThrough"},
	{name: "a POST that may have been carried out is sent again unasked", file: client + "/requests.go",
		old: `	if mayHaveSucceeded(err) {`, new: `	if false {`,
		pkg: client, run: "TestARegistrationIsNotDoubled|TestTheTableIsWhatServicesGoThrough"},
	{name: "a stage is not in the documents", file: client + "/stage.go",
		old: `"registered; heartbeats are sent"`, new: `"heartbeats are sent"`,
		pkg: client, run: "TestTheStagesAreDocumented"},
	{name: "a gateway that fails is stayed with", file: client + "/errors.go",
		old: `case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:`, new: `case http.StatusServiceUnavailable:`,
		pkg: client, run: "TestWhatAnErrorMeans|TestAnotherEndpoint"},
	{name: "what is lost again and again is registered at once", file: client + "/backoff.go",
		old: `	if losses > 1 {`, new: `	if false {`,
		pkg: client, run: "TestWhatIsLostAgain"},
	{name: "services that were woken together stay together", file: client + "/loop.go",
		old: `r.newPhase, r.verifyNext = true, true`, new: `r.verifyNext = true`,
		pkg: client, run: "TestServicesThatWereWoken"},
	{name: "another version is the same service", file: client + "/form.go",
		old: `return info.SerName + "\x00" + info.Version }`, new: `return info.SerName }`,
		pkg: client, run: "TestARegistrationOfAnotherVersion"},
}
