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
}
