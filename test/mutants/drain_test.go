package mutants

// drainMutants are defects in who drains a service, and in what is kept of why it is in its
// state; those of the engine stand in heartbeat.
var drainMutants = []mutant{
	{name: "applications drain services", file: "plugins/board/drain.go",
		old: `server.Administrating, r.handler)`, new: `server.Identified, r.handler)`,
		pkg: "test/security", run: "TestOnlyAdministratorsDrain"},
	{name: "nobody knows who drained", file: "plugins/board/drain.go",
		old: `name = c.Name`, new: `name = ""`,
		pkg: "test/security", run: "TestOnlyAdministratorsDrain"},
	{name: "a reason hides behind characters that nobody sees", file: "mp1/drain.go",
		old: `!unicode.IsPrint(r)`, new: `false && !unicode.IsPrint(r)`,
		pkg: "mp1", run: "TestTheReasonOfADrain"},
	{name: "a drained record is one that releases before cannot read", file: kept + "/record.go",
		old: `v.State = r.State.Shown()`, new: `v.State = r.State`,
		pkg: kept, run: "TestADrainedRecord"},
	{name: "what its owner set INACTIVE is forgotten by a restart", file: kept + "/record.go",
		old: `v.Drained = heartbeat.Inactive`, new: `v.Drained = heartbeat.Active`,
		pkg: kept, run: "TestADrainedRecord"},
	{name: "a cause outlives its state", file: kept + "/record.go",
		old: `c.State == v.State && c.Kind != ""`, new: `c.Kind != ""`,
		pkg: kept, run: "TestACauseCounts"},
	{name: "consoles are not told why", file: kept + "/projection.go",
		old: `if reason && rec.State != heartbeat.Active {`, new: `if false {`,
		pkg: kept, run: "TestAnInstanceThatIsNotActive"},
}
