package mutants

const server = "mp1/server"

// agentHeaderMutants are defects in what the platform makes of Mep-Agent.
var agentHeaderMutants = []mutant{
	{name: "a malformed agent is none", file: server + "/agent.go",
		old: `	if !ok {`, new: `	if !ok && r.Method == http.MethodPost {`,
		pkg: server, run: "TestAMalformedAgent"},
	{name: "of two agents the first counts", file: server + "/agent.go",
		old: `case len(v) == 1 && heartbeat`, new: `case heartbeat`,
		pkg: server, run: "TestAMalformedAgent"},
	{name: "a heartbeat with a malformed agent is refused", file: server + "/handlers.go",
		old: "	agent, _ := agentOf(r)", new: "	agent, ok := agentOf(r)\n	if !ok {\n		return errNoResource\n	}",
		pkg: server, run: "TestAMalformedAgent"},
	{name: "a refusal does not repeat the agent", file: server + "/routes.go",
		old: "		echoAgent(w, r)\n		t := target{", new: "		if s.registry.Ready() {\n			echoAgent(w, r)\n		}\n		t := target{",
		pkg: server, run: "TestEveryAnswerRepeats"},
	{name: "a malformed agent is repeated", file: server + "/agent.go",
		old: `ok && agent != ""`, new: `ok || agent == ""`,
		pkg: server, run: "TestAChangeNamesItsAgent|TestAMalformedAgent"},
	{name: "another agent that keeps the service is a fault of the platform", file: server + "/problems.go",
		old: `	{heartbeat.ErrKept, 409,`, new: `	{heartbeat.ErrLimit, 409,`,
		pkg: server, run: "TestEveryErrorOfThePlatform"},
	{name: "one more agent counts as what the platform must write", file: "plugins/servicecenter/store/admit.go",
		old: `		heartbeat.Join: // few`, new: `		heartbeat.Settle: // few`,
		pkg: "plugins/servicecenter/store", run: "TestAtAFullStore"},
}
