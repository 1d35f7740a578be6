package heartbeat

// agentMutants are faults of what the record has of the agents.
var agentMutants = []mutant{
	{name: "agents: one removes what another keeps", configs: "two agents", edits: []edit{
		{"flow_remove.go", "f.leaves = f.Removal.Agent != \"\" && others != \"\"", "f.leaves = false"}}},
	{name: "agents: a PUT that changes nothing else does not join", configs: "two agents", edits: []edit{
		{"flow_update.go", "	case f.target != old:\n		f.txn = Join", "	case false:\n		f.txn = Join"}}},
	{name: "agents: a re-arm forgets who joined by it", tests: "WhateverAPutWrites", edits: []edit{
		{"flow_update.go", "	t.Record.Agents = f.target.Agents\n", "	if f.txn == Join {\n		t.Record.Agents = f.target.Agents\n	}\n"}}},
	{name: "agents: the last one leaves and nobody removes", configs: "two agents", edits: []edit{
		{"flow_remove.go", "f.Removal.Agent != \"\" && others != \"\"", "f.Removal.Agent != \"\""}}},
	{name: "agents: a crashed one stays beside its successor", tests: "OneAgentForEachPlace", edits: []edit{
		{"agents.go", "		if place(one) != place(agent) {", "		if one != agent {"}}},
	{name: "agents: a claim leaves them", tests: "NoAgentIsLeft", edits: []edit{
		{"txn.go", "	t.Record.Agents = \"\" // none of them was left\n", ""}}},
	{name: "agents: what all have left stays SUSPENDED", configs: "two agents", edits: []edit{
		{"flow_retention.go", "	case r.Left:\n		return r.SuspendedAt\n", ""}}},
	{name: "agents: a heartbeat does not end a leaving", tests: "AHeartbeatAfterALeave", edits: []edit{
		{"flow_beat.go", "	t.Record.Left = false\n", ""}}},
	{name: "agents: what is left is removed though it was heard since", tests: "AHeartbeatAfterALeave", edits: []edit{
		{"flow_beat.go", "in.Local.mayKeep || rec.Left:", "in.Local.mayKeep:"}}},
	{name: "agents: among replicas, one not heard here counts for nothing", tests: "NotHeardForAWindow", edits: []edit{
		{"heard.go", "	if !in.Alone || ", "	if "}}},
	{name: "agents: a pause or a start counts as silence", tests: "NotHeardForAWindow|AfterAStart", edits: []edit{
		{"heard.go", "	blind := in.Health.Disturbed && in.Health.DisturbedAt > from", "	blind := false && in.Health.DisturbedAt > from"}}},
	{name: "agents: heartbeats without a name are nobody's", tests: "NotHeardForAWindow", edits: []edit{
		{"heard.go", " || in.Heard.since(\"\", from) {", " {"}}},
	{name: "agents: who resumes it is not one", tests: "AHeartbeatAfterALeave", edits: []edit{
		{"flow_beat.go", "		t.Record.Agents = t.Record.Agents.with(f.Agent)\n", ""}}},
}
