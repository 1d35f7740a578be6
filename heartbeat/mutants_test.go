package heartbeat

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// edit replaces one place of a production file; old must occur there exactly once.
type edit struct{ file, old, new string }

// mutant is a fault put into the production code. The model, built with it, must
// break an invariant in one of its configurations, or a test that is named must fail.
type mutant struct {
	name    string
	configs string // of TestModel, as a regular expression
	masses  string // of TestModelOfMasses
	// tests are what must fail instead of the model, for a rule that it does not show: a
	// regular expression of names.
	tests string
	edits []edit
	// alike says why no run can tell the mutant from the code; "" if one must.
	alike string
	quick bool // part of the default tier
}

var mutants = []mutant{
	{name: "F1: a re-arm does not write the record", configs: "false revocation", quick: true, edits: []edit{
		{"txn.go", "	t := s.begin(Rearm)\n	t.Presence = NoProjection\n	t.putOn(l)", "	t := s.begin(Rearm)\n	t.Presence = NoProjection\n	t.ProjectionOp = Put\n	t.Record.Lease = l"}}},
	{name: "F2: a registration is no evidence", configs: "from the registration on", quick: true, edits: []edit{
		{"flow_register.go", "		in.Local.AddEvidence(f.receipt)\n	}\n	f.step, f.lease = registerCommit, l", "	}\n	f.step, f.lease = registerCommit, l"}}},
	{name: "F2: a PUT is no evidence", configs: "the owner", edits: []edit{
		{"flow_update.go", "		in.Local.AddEvidence(f.receipt)\n	}\n}\n\nfunc (f *UpdateFlow) decide", "	}\n}\n\nfunc (f *UpdateFlow) decide"}}},
	{name: "F2: a registration is evidence once it is answered", tests: "AnOwnersRequestIsEvidence", edits: []edit{
		{"flow_register.go", "		in.Local.AddEvidence(f.receipt)\n	}\n	f.step, f.lease = registerCommit, l", "	}\n	f.step, f.lease = registerCommit, l"},
		{"flow_register.go", "registered(Input, Result) Action { return", "registered(in Input, _ Result) Action {\n	if f.Record.Expires() {\n		in.Local.AddEvidence(f.receipt)\n	}\n	return"}}},
	{name: "F2: a PUT is evidence once it is answered", tests: "AnOwnersRequestIsEvidence", edits: []edit{
		{"flow_update.go", "	f.addEvidence(in)\n	f.step, f.sent", "	f.step, f.sent"}}},
	{name: "a PUT that was not sent has happened", tests: "AStaleGrant", edits: []edit{
		{"flow_update.go", "if f.sent && r.Snapshot", "if f.rounds > 0 && r.Snapshot"}}},
	{name: "a late read answers a PUT", tests: "ALateRead", edits: []edit{
		{"flow_update.go", "	case in.Known.Absent() && ", "	case false && "}}},
	{name: "F3: a claim compares the revision at the hold's end", configs: "false revocation|two heartbeats", edits: []edit{
		{"flow_claim.go", "	f.step = claimCommit\n	return Action{Do: DoCommit, Txn: in.Known.claim(in.Replica, in.Wall, in.Local.beatWall)}", "	f.step = claimLate\n	return Action{Do: DoRead}"},
		{"flow_claim.go", "	on(claimCommit, otherwise,", "	on(claimLate, always, func(f *ClaimFlow, in Input, r Result) Action {\n		if !r.Snapshot.Absent() {\n			return respond(nil, r.Snapshot.Record)\n		}\n		f.step = claimCommit\n		return Action{Do: DoCommit, Txn: r.Snapshot.claim(in.Replica, in.Wall, in.Local.beatWall)}\n	}, \"\", claimCommit),\n	on(claimCommit, otherwise,"},
		{"flow_claim.go", "\"token\", \"commit\"}", "\"token\", \"commit\", \"late\"}"},
		{"flow_claim.go", "// the claim is on its way\n", "// the claim is on its way\n	claimLate\n"}}},
	{name: "F4: a refutation waits for a claim", configs: "a slow claim", edits: []edit{
		{"knowledge.go", "	case k.view.Absent() && u.refuting:", "	case k.view.Absent() && (u.refuting || u.claiming):"},
		{"knowledge.go", "	case u.refuting ||", "	case u.claiming || u.refuting ||"}}},
	{name: "F5: a renewal counts unverified", configs: "a longer interval asked for, a late", edits: []edit{
		{"flow_beat.go", "	if !in.Alone {\n		f.step = beatHead", "	if false {\n		f.step = beatHead"}}},
	{name: "F5: what is known counts, however old it is", configs: "a longer interval asked for, a late", edits: []edit{
		{"flow_beat.go", "	if in.Watched >= r.Revision && in.Known.on(f.lease) {", "	if in.Known.on(f.lease) {"}}},
	{name: "F5: a watch that is up to date counts, whatever it shows", configs: "a longer interval asked for|the owner", edits: []edit{
		{"flow_beat.go", "	if in.Watched >= r.Revision && in.Known.on(f.lease) {", "	if in.Watched >= r.Revision {"}}},
	{name: "F6: no renewal after a move, no adoption", configs: "a longer interval asked for slowly", edits: []edit{
		{"flow_update.go", "	if f.txn == Raise {\n", "	if false {\n"},
		{"knowledge.go", "	case k.view.Record.Lease != lease && k.view.on(k.view.Record.Lease):", "	case false:"}}},
	{name: "F6: no renewal after a move", configs: "a longer interval asked for slowly", edits: []edit{
		{"flow_update.go", "	if f.txn == Raise {\n", "	if false {\n"}}},
	{name: "F6: no adoption", configs: "a longer interval asked for slowly", edits: []edit{
		{"knowledge.go", "	case k.view.Record.Lease != lease && k.view.on(k.view.Record.Lease):", "	case false:"}},
		alike: "the mover renews by itself; adopting covers its crash in between, with a grant that was slow besides"},
	{name: "F7: the window shrinks when it is told", configs: "a shorter interval", edits: []edit{
		{"txn.go", "	t.Record.Previous = max(s.Record.Previous, s.Record.Interval)\n	t.Record.Interval = interval\n	return t", "	t.Record.Window = s.Record.Window / s.Record.Interval * interval\n	t.Record.Interval = interval\n	return t"}}},
	{name: "F7: a longer interval settles what was told before it", tests: "AnIntervalIsTold", edits: []edit{
		{"local.go", "	raised := r.Window <= window && r", "	raised := r"}}},
	{name: "a PUT of a shorter interval leaves the window", configs: "two intervals", edits: []edit{
		{"flow_update.go", "		n.Previous, n.Window = told, window\n", "		n.Previous, n.Window = told, max(n.Window, window)\n"}}},
	{name: "a PUT of a shorter interval leaves the lease", configs: "two intervals", edits: []edit{
		{"flow_update.go", "	case n.Window != old.Window ||", "	case n.Window > old.Window ||"}}},
	{name: "what a PUT shortened counts as taken up by the old pace", tests: "AnIntervalIsTold", edits: []edit{
		{"local.go", "	raised := r.Window <= window && r.Interval > r.Previous\n", "	raised := r.Window <= window\n"}}},
	{name: "timeStamp: a PUT counts as a heartbeat", configs: "when it was heard", edits: []edit{
		{"knowledge.go", "	return max(r.RegisteredAt, r.LastBeat, k.local.beatWall)\n", "	return max(r.RegisteredAt, r.LastBeat, k.local.EvidenceWall)\n"}}},
	{name: "timeStamp: a claim keeps a PUT as a heartbeat", configs: "when it was heard", edits: []edit{
		{"flow_claim.go", "in.Known.claim(in.Replica, in.Wall, in.Local.beatWall)", "in.Known.claim(in.Replica, in.Wall, in.Local.EvidenceWall)"}}},
	{name: "timeStamp: a return was heard when it was written", tests: "AReturnIsToldAsOf", edits: []edit{
		{"flow_beat.go", "f.snap.resume(f.lease, in.Wall, in.Local.beatWall)", "f.snap.resume(f.lease, in.Wall, in.Wall)"}}},
	{name: "timeStamp: a lease that was moved was heard", tests: "NobodyTellsALaterTime", edits: []edit{
		{"requests.go", "e.health.Load().Credited.Sub(leasedAt) < age+moverSlack", "e.health.Load().Credited < leasedAt"}}},
	{name: "timeStamp: what was heard is forgotten with its replica", tests: "AWriteKeepsWhenItWasHeard", edits: []edit{
		{"txn.go", "{ t.Record.LastBeat = max(t.Record.LastBeat, l.beatWall) }", "{}"}}},
	{name: "F8: a lease is revoked after an unknown outcome", configs: "an unanswered action", quick: true, edits: []edit{
		{"flow.go", "	if o == Conflict || o == Taken || o == Full || o == Unusable {", "	if true {"}}},
	{name: "F9: holds go on while the store is full", configs: "a full store", edits: []edit{
		{"health.go", "{ h.WritableSince = h.Credited }", "{}"}}},
	{name: "F12: a retention demands that the projection is gone", configs: "retention", edits: []edit{
		{"txn.go", "	t.RecordOp, t.ProjectionOp = Erase, Erase\n", "	t.RecordOp, t.ProjectionOp = Erase, Erase\n	if k == Retention {\n		t.Presence = NoProjection\n	}\n"}}},
	{name: "F12: a resumption demands that the projection is gone", configs: "false revocation", edits: []edit{
		{"txn.go", "	t := s.begin(Resume)\n", "	t := s.begin(Resume)\n	t.Presence = NoProjection\n"}}},
	{name: "no hold", configs: "false revocation|two heartbeats", edits: []edit{
		{"flow_claim.go", "max(f.since, in.Health.WritableSince)) >= in.Local.holdTime(in, &in.Known.Record)", "max(f.since, in.Health.WritableSince)) >= 0"}}},
	{name: "evidence counts for nothing", configs: "false revocation", edits: []edit{
		{"local.go", "	return l.hasEvidence && now.Sub(l.EvidenceAt) < r.window()", "	return false"}}},
	{name: "no probation after a pause or a start", configs: "a crash|alone", edits: []edit{
		{"local.go", "	return !on || ", "	return on == on || "}}},
	{name: "a probation is used up by what was before the last heartbeat", configs: "alone, unanswered", edits: []edit{
		{"local.go", "	return h.Disturbed && (!l.hasEvidence || h.DisturbedAt >= l.EvidenceCredit)", "	return h.Disturbed"},
		{"local.go", "	l.probation, l.silenceBefore, l.reserved = false, 0, false\n", "	l.silenceBefore, l.reserved = 0, false\n"}}},
	{name: "a heartbeat wakes an INACTIVE instance", configs: "the owner", edits: []edit{
		{"state.go", "{Inactive, NoChange, ErrInactive}", "{Active, StateChanged, nil}"},
		{"flow_beat.go", "	case rec.State == Suspended:", "	case rec.State != Active:"}}},
	{name: "a heartbeat brings back what was deleted", configs: "the owner", edits: []edit{
		{"flow_beat.go", "	if !f.snap.Exists() {\n", "	if !f.snap.Exists() && in.Known.Exists() {\n		f.snap.Record = in.Known.Record\n		return f.grantFor(in, Rearm, in.Known.Record.Window)\n	}\n	if !f.snap.Exists() {\n"}}},
	{name: "a re-arm tells an event", configs: "false revocation", edits: []edit{
		{"txn.go", "	t := s.begin(Rearm)\n", "	t := s.begin(Rearm)\n	t.countEvent(StateChanged, 0)\n"}}},
	{name: "a change of state is not told", configs: "false revocation", edits: []edit{
		{"txn.go", "	t.countEvent(c.Change, wall)\n", ""}}},
	{name: "an event does not count", configs: "false revocation", edits: []edit{
		{"txn.go", "	t.Record.Seq++\n", ""}}},
	{name: "a short lease is never raised", configs: "false revocation", edits: []edit{
		{"flow_beat.go", "	if f.ttl < rec.Window {", "	if false {"}}},
	{name: "a refutation grants a full window", configs: "alone", edits: []edit{
		{"flow_refute.go", "seconds(rec.window()-in.Now.Sub(in.Local.EvidenceAt))", "seconds(rec.window())"}}},
	{name: "an INACTIVE projection keeps its lease", configs: "the owner", edits: []edit{
		{"flow_update.go", "	case !t.Record.Expires():\n		t.putOn(0)", "	case !t.Record.Expires():\n		t.putOn(f.snap.Record.Lease)"}}},
	{name: "a LOWER that lost revokes the live lease", configs: "a shorter interval told twice", edits: []edit{
		{"flow_beat.go", "		revoke = 0 // the lease is the live one\n", ""}}},
	{name: "a PUT that changes nothing is no evidence", configs: "alone$", edits: []edit{
		{"flow_update.go", "		f.addEvidence(in)\n		return respond(nil, f.target)", "		return respond(nil, f.target)"}}},
	{name: "a PUT on an absent instance does not re-arm it", tests: "ALateReadIsNoReason", edits: []edit{
		{"flow_update.go", "	case f.snap.Absent(): // a claim", "	case false: // a claim"}}},
	{name: "an older observation overwrites a newer one", configs: "a delayed reply", edits: []edit{
		{"view.go", "	if s.Revision <= *seen {", "	if false {"}}},
	{name: "a claim does not demand that the projection is gone", configs: "false revocation|two heartbeats|an unanswered action", edits: []edit{
		{"txn.go", "	t := s.begin(Claim)\n	t.Presence = NoProjection\n", "	t := s.begin(Claim)\n"}},
		alike: "whatever makes the projection present also writes the record (F1, F3); the compare is a defence against writes from outside"},
	{name: "a move that lost is answered 204", configs: "a longer interval told slowly", edits: []edit{
		{"flow_beat.go", "	if r.Outcome != Full {\n		return f.retry(revoke)", "	if f.counted {\n		return f.done(0)\n	}\n	if r.Outcome != Full {\n		return f.retry(revoke)"}}},
	{name: "a stale grant of a registration counts no round", tests: "EveryFlowEnds", edits: []edit{
		{"flow_register.go", "if f.rounds++; f.rounds >= maxRounds {", "if f.rounds >= maxRounds {"}}},
	{name: "a heartbeat follows a record that moves on and on", tests: "EveryFlowEnds", edits: []edit{
		{"flow_beat.go", "if f.rounds++; f.wornOut() { // somebody", "if f.wornOut() { // somebody"}}},
	{name: "an owner's request that loses tries for ever", tests: "EveryFlowEnds", edits: []edit{
		{"flow.go", "	a.conflicts++\n", ""}}},
	{name: "hooks are called under an entry's lock", tests: "AHookThatBlocks", edits: []edit{
		{"hooks.go", "		en.mu.Unlock()\n		e.Hooks.Changed(en.id, &s)\n		en.mu.Lock()\n", "		e.Hooks.Changed(en.id, &s)\n"}}},
	{name: "a worker calls the hooks itself", tests: "AHookThatBlocks", edits: []edit{
		{"hooks.go", "func (e *Engine) queueNotice(call func()) { e.hooks.notices.put(call) }", "func (e *Engine) queueNotice(call func()) { call() }"}}},
	{name: "an answer does not wait for what it must show", tests: "ChangesAreTold", edits: []edit{
		{"engine.go", "	if wrote {\n", "	if wrote && false {\n"}}},
	{name: "changes are told twice at once", tests: "ChangesAreTold", edits: []edit{
		{"hooks.go", "	if !en.queued {\n", "	if true {\n"}}},
	{name: "the end of Run waits for a hook", tests: "AHookThatBlocks", edits: []edit{
		{"workers.go", "	e.hooks.drain(context.Background())\n", "	for e.hooks.running > 0 {\n		e.hooks.drain(context.Background())\n	}\n"}}},
	{name: "a mass is a part of all records", tests: "LeasesThatExisted", edits: []edit{
		{"breaker.go", "int(e.counts[living].Load())", "len(e.entries)"}}},
	{name: "what came back counts twice", tests: "LeasesThatExisted", edits: []edit{
		{"engine.go", "		e.breaker.returned(&en.vanished)\n", ""}}},
	{name: "a batch is entered by its last observation", tests: "ABatchThatEnds", edits: []edit{
		{"watch.go", "slices.ContainsFunc(its, func(o Observation) bool { return o.Present })", "slices.ContainsFunc(its[len(its)-1:], func(o Observation) bool { return o.Present })"}}},
	{name: "a tick looks at what is not due", tests: "ATickCosts", edits: []edit{
		{"dispatch.go", "s.take(&s.due, int64(credited))", "s.take(&s.due, anyKey)"}}},
	{name: "a tick has no bound", tests: "ATickCosts", edits: []edit{
		{"dispatch.go", "	for ; handled < maxPerTick; handled++ {", "	for ; ; handled++ {"}}},
	{name: "a claim polls a full store", tests: "ATickCosts", edits: []edit{
		{"flow_claim.go", "	if in.Health.Full {\n		return", "	if false {\n		return"}}},
	{name: "a refutation polls a full store", tests: "ARefutationWaitsForSpace", edits: []edit{
		{"dispatch.go", "	if errors.Is(err, ErrFull) && e.health.Load().Full {", "	if errors.Is(err, ErrFull) && false {"}}},
	{name: "what waits for space is forgotten", tests: "ARefutationWaitsForSpace", edits: []edit{
		{"run.go", "			e.schedule.release(&e.schedule.awaitingSpace, h.Credited)\n", "			_ = h\n"}}},
	{name: "a probation begins with the last disturbance", tests: "TheFirstDisturbance", edits: []edit{
		{"run.go", "				en.local.noteDisturbance(e.health.Load())\n", ""}}},
	{name: "a removal is due by the clock of when it was scheduled", tests: "ARemovalFollows", edits: []edit{
		{"engine.go", "		e.schedule.put(&e.schedule.removals, en, e.Policy.removal(&en.view.Record))\n", "		_, wall := e.now()\n		e.checkAfter(en, time.Duration(e.Policy.removal(&en.view.Record)-wall))\n"}}},
	{name: "each absence has a goroutine", tests: "TakeNoGoroutineEach", edits: []edit{
		{"workers.go", "	if q.working < q.workers-q.reducedBy &&", "	if len(q.queue) > 0 &&"},
		{"workers.go", "	if q.working > q.workers-q.reducedBy {", "	if false {"}}},
}

var allMutants = flag.Bool("mutants", false, "build and run all seeded mutants, not only the quick ones")

// TestTheModelCatchesEveryMutant edits the production code by an overlay, builds
// the model with it and sees an invariant break.
func TestTheModelCatchesEveryMutant(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("skipped: no go command here to build the mutants with")
	}
	if testing.Short() || raceEnabled && !*allMutants {
		t.Skip("skipped: -short or -race; the mutants are built and run without")
	}
	left := 0
	all := slices.Concat(mutants, silenceMutants, agentMutants, drainMutants, loadMutants, endMutants, massMutants)
	for i := range all {
		m := &all[i]
		if !m.quick && !*allMutants {
			left++
			continue
		}
		t.Run(m.name, func(t *testing.T) { m.run(t, goTool) })
	}
	if left > 0 {
		t.Logf("%d mutants left for go test ./heartbeat -run EveryMutant -mutants, which takes minutes", left)
	}
}

func (m *mutant) run(t *testing.T, goTool string) {
	dir := t.TempDir()
	overlay, err := m.overlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "mutant.test")
	build := exec.CommandContext(t.Context(), goTool, "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutant does not build: %v\n%s", err, out)
	}
	began := time.Now()
	which, states := "^TestModel$/^("+m.configs+")", 150_000
	switch {
	case m.tests != "":
		which = m.tests
	case m.masses != "":
		which = "^TestModelOfMasses$/^(" + m.masses + ")$"
		states = 1_000_000 // for the walks by chance, which find some of them
	}
	most := "-test.timeout=5m"
	if m.tests != "" {
		most = "-test.timeout=40s" // some of them hang
	}
	run := exec.CommandContext(t.Context(), binary, "-test.run", which, "-test.v", "-test.failfast", most, fmt.Sprintf("-model.states=%d", states), fmt.Sprintf("-model.full=%t", *modelFull))
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	verdict, broken := m.verdict(string(out))
	if m.tests != "" {
		if failed := failedLine.FindString(string(out)); failed == "" && exit == nil {
			t.Errorf("not caught\n%s", out)
		} else {
			t.Logf("caught (%.1f s): %s", time.Since(began).Seconds(), failed)
		}
		return
	}
	t.Logf("%s (%.1f s)", verdict, time.Since(began).Seconds())
	switch {
	case !strings.Contains(string(out), "states,"):
		t.Errorf("the model did not run:\n%s", out)
	case broken && m.alike != "":
		t.Errorf("it can be told from the code after all; it was thought that %s\n%s", m.alike, out)
	case !broken && m.alike == "":
		t.Errorf("not caught\n%s", out)
	}
}

// overlay writes the edited files and the list that the go command takes.
func (m *mutant) overlay(dir string) (string, error) {
	text := map[string]string{}
	for _, e := range m.edits {
		src, ok := text[e.file]
		if !ok {
			data, err := os.ReadFile(e.file)
			if err != nil {
				return "", err
			}
			src = string(data)
		}
		if n := strings.Count(src, e.old); n != 1 {
			return "", fmt.Errorf("%s holds %d times what the mutant replaces, not once: %q", e.file, n, e.old)
		}
		text[e.file] = strings.Replace(src, e.old, e.new, 1)
	}
	list := struct{ Replace map[string]string }{map[string]string{}}
	for name, src := range text {
		from, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, []byte(src), 0o644); err != nil {
			return "", err
		}
		list.Replace[from] = to
	}
	data, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o644)
}

var (
	brokenLine = regexp.MustCompile(`model(?:_mass)?_test\.go:\d+: ((?:I\d+|COV|STATE|VIEW|HIDE|KEPT) .*)`)
	failedLine = regexp.MustCompile(`--- FAIL: \S+|panic: .*|fatal error: .*`)
	statesLine = regexp.MustCompile(`model(?:_mass)?_test\.go:\d+: (\d+) states, \d+ steps`)
)

// verdict says which invariant broke and after how many states.
func (m *mutant) verdict(out string) (string, bool) {
	at := brokenLine.FindStringSubmatchIndex(out)
	if at == nil {
		total := 0
		for _, s := range statesLine.FindAllStringSubmatch(out, -1) {
			n := 0
			_, _ = fmt.Sscan(s[1], &n)
			total += n
		}
		return fmt.Sprintf("not caught in %d states", total), false
	}
	states := "?"
	if all := statesLine.FindAllStringSubmatch(out[:at[0]], -1); len(all) > 0 {
		states = all[len(all)-1][1]
	}
	return fmt.Sprintf("caught after %s states: %s", states, out[at[2]:at[3]]), true
}

// A mutant whose place has been rewritten is found at once, and not when all are run.
func TestEveryMutantReplacesPlacesThatExist(t *testing.T) {
	for _, m := range slices.Concat(mutants, silenceMutants, agentMutants, drainMutants, loadMutants, endMutants, massMutants) {
		if _, err := m.overlay(t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// The runner itself must refuse a mutant that is no longer one.
func TestAMutantOfNothingIsRefused(t *testing.T) {
	for _, old := range []string{"this stands nowhere", "func"} {
		m := mutant{edits: []edit{{"health.go", old, ""}}}
		if _, err := m.overlay(t.TempDir()); err == nil {
			t.Errorf("%q is replaced although it does not stand there once", old)
		}
	}
	m := mutant{}
	if v, broken := m.verdict("model_test.go:1: 5 states, 7 steps, depth 1"); broken || !strings.Contains(v, "5 states") {
		t.Errorf("a clean run counts as caught: %s", v)
	}
	if v, broken := m.verdict("model_test.go:1: 5 states, 7 steps\nmodel_test.go:2: MODEL no room"); broken {
		t.Errorf("the model's own limit counts as caught: %s", v)
	}
}
