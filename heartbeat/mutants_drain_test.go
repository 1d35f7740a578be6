package heartbeat

// The faults of draining, and what must find them.
var drainMutants = []mutant{
	{name: "D1: a heartbeat lifts a drain", configs: "drained", edits: []edit{
		{"state.go", "		Beat:          {Drained, NoChange, ErrDrained},", "		Beat:          {Active, StateChanged, nil},"},
		{"flow_beat.go", "	case rec.State == Suspended:\n", "	case rec.State == Suspended || rec.State == Drained:\n"}}},
	{name: "D2: a PUT lifts a drain", configs: "drained, and the owner", edits: []edit{
		{"state.go", "		PutActive:     {Drained, NoChange, ErrDrained},", "		PutActive:     {Active, StateChanged, nil},"}}},
	{name: "D3: a drained instance keeps its lease", configs: "drained", edits: []edit{
		{"txn.go", "Drain), why, wall)\n	t.putOn(0)\n", "Drain), why, wall)\n	t.putOn(s.Record.Lease)\n"}}},
	{name: "D4: what was not heard yet is ACTIVE", configs: "drained", edits: []edit{
		{"state.go", "		Undrain:            {Suspended, StateChanged, nil},", "		Undrain:            {Active, StateChanged, nil},"}}},
	{name: "D5: another reason is told", tests: "NeitherHeartbeatNorPut", edits: []edit{
		{"state.go", "		Drain:              {Drained, CauseChanged, nil},", "		Drain:              {Drained, StateChanged, nil},"}}},
	{name: "D6: the drain of what is INACTIVE is told", configs: "drained, and the owner", edits: []edit{
		{"state.go", "{DrainedInactive, CauseChanged, nil}, // INACTIVE to consumers, as before", "{DrainedInactive, StateChanged, nil},"}}},
	{name: "D7: the undrain of what is INACTIVE is told", configs: "drained, and the owner", edits: []edit{
		{"state.go", "		Undrain:            {Inactive, CauseChanged, nil},", "		Undrain:            {Inactive, StateChanged, nil},"}}},
	{name: "D8: a PUT to INACTIVE is told as a change", configs: "drained, and the owner", edits: []edit{
		{"flow_update.go", "		c.Change = NoChange // nothing that is shown\n", ""}}},
	{name: "D9: an event that is not told counts", configs: "drained, and the owner", edits: []edit{
		{"txn.go", "	if c.Change != NoChange {\n		t.countEvent(c.Change, wall)\n	}\n", "	t.countEvent(c.Change, wall)\n"}}},
	{name: "D10: a PUT takes the reason away", configs: "drained, and the owner", edits: []edit{
		{"txn.go", "if c.To.Shown() != t.Was.Shown() ||", "if c.To != t.Was ||"}}},
	{name: "D11: a drained instance is removed for its age", tests: "NeitherClaimedNorRemoved", edits: []edit{
		{"flow_retention.go", "	return r.State == Suspended && in.Local.suspended &&", "	return (r.State == Suspended || r.State == Drained) &&"},
		{"knowledge.go", "	case s.Exists() && s.Record.State == Suspended:", "	case s.Exists() && (s.Record.State == Suspended || s.Record.State == Drained):"}}},
	{name: "D12: what its owner set INACTIVE waits for a heartbeat", tests: "WhatItsOwnerSetInactive", edits: []edit{
		{"state.go", "		PutInactive:   {DrainedInactive, AttributesChanged, nil},", "		PutInactive:   {Drained, AttributesChanged, nil},"}}},
	{name: "D15: an agent that joins keeps it INACTIVE", tests: "AnAgentThatJoinsADrained", edits: []edit{
		{"state.go", "from == Drained && to == Inactive && byAgent:", "false:"}}},
	{name: "D13: who left while it was drained takes the others along", tests: "AnAgentThatLeftWhileItWasDrained", edits: []edit{
		{"txn.go", "	t.Record.Left = false\n	t.putOn(0)\n", "	t.putOn(0)\n"}}},
	{name: "D14: an undrain without a reply is refused when it happened", tests: "AnUndrainWithoutAReply", edits: []edit{
		{"flow_drain.go", "	f.sent = f.sent || r.Outcome == Unavailable\n", ""}}},
	{name: "D16: another reason leaves no trace", tests: "ThatNobodyIsToldOf", edits: []edit{
		{"state.go", "		Drain:              {Drained, CauseChanged, nil},", "		Drain:              {Drained, NoChange, nil},"},
		{"state.go", "		Drain:              {DrainedInactive, CauseChanged, nil},\n", "		Drain:              {DrainedInactive, NoChange, nil},\n"}}},
	{name: "D17: the drain of what is INACTIVE leaves no trace", configs: "drained, and the owner", edits: []edit{
		{"state.go", "{DrainedInactive, CauseChanged, nil}, // INACTIVE to consumers, as before", "{DrainedInactive, NoChange, nil},"}}},
	{name: "D18: the undrain of what is INACTIVE leaves no trace", configs: "drained, and the owner", edits: []edit{
		{"state.go", "		Undrain:            {Inactive, CauseChanged, nil},", "		Undrain:            {Inactive, NoChange, nil},"}}},
	{name: "D19: a reason counts as a change that consumers are told", tests: "ThatNobodyIsToldOf", edits: []edit{
		{"txn.go", "	if c.Told() {\n", "	if true {\n"}}},
	{name: "D20: nobody knows since when it is drained", tests: "ThatNobodyIsToldOf", edits: []edit{
		{"txn.go", "t.Record.Cause, t.Record.CausedAt = why, wall", "t.Record.Cause = why"}}},
}
