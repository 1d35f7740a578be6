package heartbeat

// silenceMutants are faults of what is kept of a silence over restarts.
var silenceMutants = []mutant{
	{name: "silence: it is kept no sooner after a start", tests: "ASilenceCountsAcrossRestarts", edits: []edit{
		{"silence.go", "	if !l.hasEvidence && h.HasRunTime {", "	if false {"}}},
	{name: "silence: none is kept", configs: "silences, alone$", edits: []edit{
		{"silence.go", "	return ok && h.Credited >= at && !h.Full\n", "	return ok && h.Credited >= at && !h.Full && false\n"}}},
	{name: "silence: a heartbeat does not end it", configs: "silences, alone$", edits: []edit{
		{"flow_beat.go", "	case rec.Silence != 0 || in.Local.mayKeep || rec.Left:", "	case rec.Left:"}}},
	{name: "silence: a heartbeat does not end what is being kept", configs: "silences, alone$", edits: []edit{
		{"flow_beat.go", "	case rec.Silence != 0 || in.Local.mayKeep || rec.Left:", "	case rec.Silence != 0 || rec.Left:"}}},
	{name: "silence: a heartbeat does not end what may have been kept", configs: "silences, alone$", edits: []edit{
		{"flow_silence.go", "in.Local.mayKeep && r.Outcome == Unavailable", "false"}}},
	{name: "silence: a PUT does not end it", tests: "APutEndsASilence", edits: []edit{
		{"flow_update.go", "	case f.target.Expires() && (old.Silence", "	case false && (old.Silence"}}},
	{name: "silence: a refutation by who heard it leaves it", tests: "ARefutationEndsASilence", edits: []edit{
		{"flow_refute.go", "	if in.Health.Credited.Sub(in.Local.EvidenceCredit) < t.Record.Silence {", "	if false {"}}},
	{name: "silence: no interval is due after a start", configs: "silences, alone$", edits: []edit{
		{"silence.go", "	return max(r.interval(), r.window()-l.silenceBefore)\n", "	return r.window() - l.silenceBefore\n"},
		{"silence.go", "l.seenAt.Add(max(s.Record.interval(), s.Record.window()-l.silenceBefore))", "l.seenAt.Add(s.Record.window() - l.silenceBefore)"}}},
	{name: "silence: what is kept after a start counts as from before it", configs: "silences, alone$", edits: []edit{
		{"knowledge.go", "		case k.view.Record.Silence == 0: // it was heard, by somebody\n			k.local.silenceBefore = 0\n", "		default:\n			k.local.silenceBefore = silenceBefore(&k.view.Record, h)\n"}}},
	{name: "silence: a lease that etcd extended is waited for", configs: "silences, alone$", edits: []edit{
		{"silence.go", "	if !h.Alone || l.hasEvidence ||", "	if true || l.hasEvidence ||"}}},
	{name: "silence: what was heard elsewhere is kept as one", tests: "KeptByWhoHeardLast", edits: []edit{
		{"flow_silence.go", "	if r.Age < in.Local.keptAfter(in.Health, &f.snap.Record) {", "	if false {"},
		{"flow_silence.go", "f.silence = min(f.silence, r.Age)", "_ = r.Age"},
		{"flow_silence.go", "	if r.Outcome != Done || r.Age < f.silence {", "	if r.Outcome != Done {"}}},
	{name: "silence: what is heard elsewhere meanwhile does not end it", configs: "silences$", edits: []edit{
		{"flow_silence.go", "	if r.Outcome != Done || r.Age < f.silence {", "	if false {"}}},
	{name: "silence: one is kept beside the previous release", tests: "NothingIsKept", edits: []edit{
		{"dispatch.go", "!e.Alone && !e.peers.allEndSilences()", "false"}}},
	{name: "silence: a slow pace costs two writes a heartbeat", tests: "ASlowPace", edits: []edit{
		{"flow_silence.go", "	l.keptUntil = max(l.keptUntil, in.Health.Credited).Add(keptEvery * f.snap.Record.window())\n", "	l.keptUntil = 0\n"}}},
	{name: "silence: what the platform ran since does not count", tests: "ASilenceCountsAcrossRestarts$", edits: []edit{
		{"silence.go", "		s += max(h.RunTimeBefore-r.SilenceAt, 0)\n", "		s += max(h.RunTimeBefore-r.SilenceAt, 0) * 0\n"}}},
}
