// Package mutants seeds defects into the program, one at a time, and shows that a
// named target catches each. It knows the sources as text and go test; it must not
// import anything of the program.
//
// That each defect still fits its source is part of go test ./... To seed them takes
// minutes, and those that only the fault laboratory catches take many:
//
//	go test ./test/mutants -run . -timeout 60m -args -mutants
//	go test ./test/mutants -run . -timeout 2h -args -lab
package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	unit = flag.Bool("mutants", false, "run the mutants that unit tests catch (minutes)")
	lab  = flag.Bool("lab", false, "run the mutants that only the fault laboratory catches (many minutes)")
)

// mutant is one defect: exactly one place of one file, and who must notice.
type mutant struct {
	name, file, old, new string
	pkg, run             string
	lab                  bool // the target is a scenario of the laboratory
}

const adapter, engine, notifier, log, limiter = "plugins/servicecenter", "heartbeat", "plugins/notify", "logs", "plugins/identity"

// The rooms of the adapter.
const reach, kept, sc = adapter + "/etcd", adapter + "/store", adapter + "/center"
const quotas, datadirs, urls = reach + "/quota", reach + "/datadir", "mp1/endpoint"

var mutants = []mutant{
	{name: "consumers are told of an instance before its microservice is known", file: sc + "/instanceevents.go",
		old: `ready = o.known(e.KV.Key) }) && ready`, new: `ready = o.known(e.KV.Key) })`,
		pkg: sc, run: "TestAnInstancesEvents"},
	{name: "a later event of an instance overtakes those that wait", file: sc + "/instanceevents.go",
		old: `if i < 0 && !o.hung`, new: `if (i < 0 || e.Type == discovery.EVT_DELETE) && !o.hung`,
		pkg: sc, run: "TestAnInstancesEvents"},
	{name: "an instance waits longer than it may for its microservice", file: sc + "/instanceevents.go",
		old: `most := maxUnknown`, new: `most := 2 * maxUnknown`,
		pkg: sc, run: "TestAnInstancesEvents"},
	{name: "an instance's event is dropped for which the store did not answer", file: sc + "/instanceevents.go",
		old: `	o.hung = o.failed() != before`, new: `	o.hung = o.failed() < before`,
		pkg: sc, run: "TestAnInstancesEvents"},
	{name: "the scheme of a URI in an fqdn is a host", file: urls + "/endpoint.go",
		old: `	if strings.Contains(text, "://") {
		return parseURI(text, scheme)`, new: `	if false {
		return parseURI(text, scheme)`,
		pkg: urls, run: "TestEveryForm"},
	{name: "consumers of other appIds find nothing", file: kept + "/projection.go",
		old: `m.Properties[crossAppProperty] = "true"`, new: ``,
		pkg: adapter, run: "TestAConsumerOfAnotherAppFinds"},
	{name: "what the previous release put stays", file: kept + "/repairchecks.go",
		old: `m.queueChange(updatedRelease, kv, clientv3.OpPut(string(kv.Key), string(want)))`, new: `_ = want`,
		pkg: kept, run: "TestWhatTheReleaseBeforePut"},
	{name: "releases overwrite each other's projections endlessly", file: kept + "/list.go",
		old: `if !older {`, new: `if older || !older {`,
		pkg: kept, run: "TestTheFormOfAnOlderReplica"},
	{name: "a client may be service-center", file: sc + "/finalkeys.go",
		old: `if isSelf(name) {`, new: `if false && isSelf(name) {`,
		pkg: sc, run: "TestTheRegistrationOfServiceCenterIsNobodysElse"},
	{name: "a sweep reads another history as the one that is known", file: kept + "/history_read.go",
		old: `h.at == first.of && h.sum != first.Sum64()`, new: `false`,
		pkg: kept, run: "TestAnotherHistoryIsNotRead"},
	{name: "what the walk finds leads to no list", file: kept + "/changes.go",
		old: `walked && l.all[i].Unlike()`, new: `walked && false`,
		pkg: kept, run: "TestWhatWasWrittenIsFoundWhoeverMissedIt"},
	{name: "the registration of service-center is tidied away", file: kept + "/repairchecks.go",
		old: `m.index[index] == "" && !m.skipped[id] && id != m.reserved`, new: `m.index[index] == "" && !m.skipped[id]`,
		pkg: adapter, run: "TestTheMicroserviceOfServiceCenterOutlives"},
	{name: "what hung on service-center's id stays", file: sc + "/selfregister.go",
		old: `if !holds(mark, selfIndex) {`, new: `if false {`,
		pkg: sc, run: "TestTheNameOfServiceCenter"},
	{name: "another client's instance below service-center stays", file: sc + "/selfregister.go",
		old: `if ok && (name ==`, new: `if ok || (name ==`,
		pkg: sc, run: "TestTheRegistrationOfServiceCenterIsPutRight"},
	{name: "the registration of service-center is not renewed", file: sc + "/selfregister.go",
		old: `_, err = e.client.RenewLease(ctx, e.lease)`, new: ``,
		pkg: sc, run: "TestTheRegistrationOfServiceCenterIsRenewed"},
	{name: "an endpoint of go-chassis has a path", file: urls + "/endpoint.go",
		old: `return address{scheme: restScheme, host: a.host, port: a.port, query: query}, true`, new: `return address{scheme: restScheme, host: a.host, port: a.port, path: a.path, query: query}, true`,
		pkg: urls, run: "."},
	{name: "the last address comes last", file: urls + "/endpoint.go",
		old: `slices.Reverse(rest)`, new: ``,
		pkg: urls, run: "TestTheFirstAddress"},
	{name: "an endpoint without a port", file: urls + "/endpoint.go",
		old: `return a, a.port != 0`, new: `return a, true`,
		pkg: urls, run: "."},
	{name: "a host that none can be", file: urls + "/hosts.go",
		old: `if !labelOK(l) {`, new: `if false && !labelOK(l) {`,
		pkg: urls, run: "."},
	{name: "no compare of the record's revision", file: kept + "/txn.go",
		old: `clientv3.ModRevision(keys.Record(id)), "=", int64(t.RecordRevision))`, new: `clientv3.ModRevision(keys.Record(id)), ">", int64(-1))`,
		pkg: kept, run: "TestEachCompareHoldsATransactionBack"},
	{name: "no compare that the projection is absent", file: kept + "/txn.go",
		old: `clientv3.Version(key), "=", 0)`, new: `clientv3.Version(key), ">", -1)`,
		pkg: kept, run: "TestEachCompareHoldsATransactionBack"},
	{name: "the event is not in the transaction", file: kept + "/txn.go",
		old: `if t.Change != heartbeat.NoChange {`, new: `if false {`,
		pkg: kept, run: "TestEachCompareHoldsATransactionBack"},
	{name: "a suspended projection keeps its lease", file: kept + "/txn.go",
		old: `if l := t.Record.Lease; l != 0 {`, new: `if l := max(t.Record.Lease, 1); l != 0 {`,
		pkg: kept, run: "TestEachCompareHoldsATransactionBack"},
	{name: "a renewal is acknowledged before etcd confirmed it", file: reach + "/renew.go",
		old: "if first.err == nil {\n\t\tselect", new: "if first.err == nil {\n\t\treturn 600, nil\n\t}\n\tif first.late {\n\t\tselect",
		pkg: reach, run: "TestRenewals"},
	{name: "the end of a lease is no end", file: reach + "/renewstream.go",
		old: `if res.TTL <= 0 {`, new: `if res.TTL < 0 {`,
		pkg: reach, run: "TestRenewalsShare"},
	{name: "a silent stream is waited for", file: reach + "/renewstream.go",
		old: "if !one.late {", new: "if false {",
		pkg: reach, run: "TestASilentEndpointIsHedged"},
	{name: "however many wait for answers, they are not sent", file: reach + "/renewstream.go",
		old: "l.sent > 0 && unsent < flight", new: "l.sent > 0 && unsent <= flight",
		pkg: reach, run: "TestRenewalsOfOneMomentAreSentTogether"},
	{name: "what waits for answers is never sent", file: reach + "/renewstream.go",
		old: "\t\tl.measure()\n\t\tl.wakeUp()", new: "\t\tl.measure()",
		pkg: reach, run: "TestRenewalsOfOneMomentAreSentTogether"},
	{name: "those who come one after the other do not wait for each other", file: reach + "/renewstream.go",
		old: "l.crowd > 1 && unsent < flight && wait > 0", new: "false",
		pkg: reach, run: "TestRenewalsThatFollowEachOtherShareFlights"},
	{name: "who comes alone waits for others", file: reach + "/renewstream.go",
		old: "l.crowd > 1 && unsent < flight && wait > 0", new: "l.crowd > 0 && unsent < flight && wait > 0",
		pkg: reach, run: "TestRenewalsThatFollowEachOtherShareFlights"},
	{name: "a restored store is not noticed", file: reach + "/lineage.go",
		old: `h.Revision < before.revision`, new: `false`,
		pkg: reach, run: "TestALineage"},
	{name: "the watch is believed to be further than its events", file: reach + "/txn.go",
		old: `return heartbeat.Revision(res.Events[n-1].Kv.ModRevision)`, new: `return heartbeat.Revision(res.Header.Revision)`,
		pkg: reach, run: "TestAWatchIsComplete"},
	{name: "a silent watch is trusted", file: kept + "/watch.go",
		old: "case <-stall.C:\n\t\t\treturn errStalled", new: "case <-stall.C:\n\t\t\tcontinue",
		pkg: kept, run: "TestASilentWatchIsGivenUp"},
	{name: "an old etcd is used", file: reach + "/version.go",
		old: `case patch < l.needed:`, new: `case patch < 0:`,
		pkg: reach, run: "TestOldVersions"},
	{name: "certificates are not verified", file: reach + "/remote.go",
		old: `MinVersion: tls.VersionTLS12}`, new: `MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}`,
		pkg: reach, run: "TestAClusterWithTLS"},
	{name: "what a later release added to a cursor is lost with its second move", file: kept + "/subscriptions.go",
		old: `s.unknown.set(key, res.Header.Revision, more)`, new: ``,
		pkg: kept, run: "TestACursorAndARegistrationKeep"},
	{name: "what a later release added to a record is lost", file: kept + "/members.go",
		old: `if text == "" || more == "" {`, new: `if true {`,
		pkg: kept, run: "TestARecordKeeps"},
	{name: "a torn run time is believed", file: reach + "/runtime.go",
		old: `|| n != again ||`, new: `||`,
		pkg: reach, run: "TestTheRunTime"},
	{name: "the end of an extended lease takes the microservice", file: kept + "/store.go",
		old: ` && t.Kind != heartbeat.Expire && t.Kind != heartbeat.End ||`, new: ` ||`,
		pkg: kept, run: "TestAnExtendedLease"},
	{name: "one record of another schema is used", file: kept + "/record.go",
		old: `r.Schema != want ||`, new: ``,
		pkg: kept, run: "TestOneBadRecord"},
	{name: "a record of an imported id is read by releases that do not know it", file: kept + "/record.go",
		old: `const importedSchema = 2`, new: `const importedSchema = 1`,
		pkg: kept, run: "TestARecordWithAnIDOfEdgeGallerys"},
	{name: "an import that was cut off keeps what it wrote", file: kept + "/imported.go",
		old: `doomed = append(doomed, at.Key(), at.LeaseKey())`, new: `_ = at`,
		pkg: adapter, run: "TestHalfAnImport"},
	{name: "a store that is used is imported into", file: adapter + "/import.go",
		old: "	case used:\n		h.Log", new: "	case used && done != nil:\n		h.Log",
		pkg: adapter, run: "TestAStartImports"},
	{name: "a copy that was written meanwhile is taken", file: adapter + "/edgegallery/copy.go",
		old: `			return errWritten`, new: `			return nil`,
		pkg: adapter + "/edgegallery", run: "TestACopyThatWasWritten"},
	{name: "who is imported has no window of its own", file: adapter + "/edgegallery/write.go",
		old: `if r.Expires() && r.Lease == 0 {`, new: `if r.Expires() && r.Lease != 0 {`,
		pkg: adapter, run: "TestAnImportFills"},
	{name: "what a new leader extended counts as heard", file: reach + "/term.go",
		old: `age < 0 || now.Sub(since) < age+termSlack`, new: `age < 0 || now.Sub(since) < 0`,
		pkg: reach, run: "TestTheAgeOfALease"},
	{name: "a full store is not noticed", file: reach + "/client.go",
		old: `full = full || strings.Contains(e,`, new: `full = full && strings.Contains(e,`,
		pkg: reach, run: "TestThePulse"},
	{name: "a full store refuses what frees", file: quotas + "/quota.go",
		old: `if c != Free && g.inUse()`, new: `if g.inUse()`,
		pkg: quotas, run: "TestWhatFrees"},
	{name: "writers jump over the headroom together", file: quotas + "/quota.go",
		old: `g.inUse()+g.flying+g.returned+cost > g.threshold(c)`, new: `g.inUse()+cost > g.threshold(c)`,
		pkg: quotas, run: "TestManyWriters"},
	{name: "what was written is forgotten before it is measured", file: quotas + "/quota.go",
		old: `		g.returned += cost`, new: ``,
		pkg: quotas, run: "TestManyWriters"},
	{name: "history from before a start stays", file: quotas + "/upkeep.go",
		old: `w := Work{Compact: f.Revision, Reason: AtStart, Disarm: f.Alarm}`, new: `w := Work{Reason: AtStart, Disarm: f.Alarm}`,
		pkg: quotas, run: "TestHistoryFromBefore"},
	{name: "history goes that is still read", file: quotas + "/upkeep.go",
		old: `	if f.Floor != 0 {`, new: `	if false {`,
		pkg: quotas, run: "TestShortOfRoom"},
	{name: "the alarm stays", file: reach + "/upkeep.go",
		old: `	if w.Disarm && alarmed {`, new: `	if w.Disarm && !alarmed {`,
		pkg: reach, run: "TestAStoreLeftFull"},
	{name: "service-center's writes pass by the gate", file: sc + "/admit.go",
		old: `	if n == 0 {`, new: `	if n >= 0 {`,
		pkg: sc, run: "TestServiceCentersWrites"},
	{name: "a full store cannot be emptied through ServiceComb", file: sc + "/admit.go",
		old: `	if r.gate.Short(n) {`, new: `	if false {`,
		pkg: sc, run: "TestAFullStoreCanBe"},
	{name: "what shrinks is all that may be written", file: sc + "/admit.go",
		old: `	case growth < 0:`, new: `	case growth <= 0:`,
		pkg: sc, run: "TestAFullStoreCanBe"},
	{name: "a death waits for room", file: kept + "/admit.go",
		old: "	default:\n\t\treturn quota.Free", new: "	default:\n\t\treturn quota.Change",
		pkg: kept, run: "TestAtAFullStore"},
	{name: "pages are not checked for being used twice", file: datadirs + "/walk.go",
		old: `		if !w.mark(id + i) {`, new: `		if w.mark(id+i) && false {`,
		pkg: datadirs, run: "TestAPageThatIsUsedTwice"},
	{name: "a log that ends too early is used", file: datadirs + "/datadir.go",
		old: `	case s.index > max(l.last, at):`, new: `	case false:`,
		pkg: datadirs, run: "TestEveryDamage"},
	{name: "a backup's checksum is not compared", file: datadirs + "/backup.go",
		old: `	case !bytes.Equal(s.hash.Sum(nil), s.tail):`, new: `	case !bytes.Equal(s.tail, s.tail):`,
		pkg: datadirs, run: "TestABackupThatIsNotWhole"},
	{name: "a restore goes back in revisions", file: datadirs + "/restore.go",
		old: `Main: r.Revision(h.Revision)`, new: `Main: h.Revision + 1`,
		pkg: datadirs, run: "TestARestoredStore"},
	{name: "two restores of one backup give the same revisions", file: datadirs + "/restore.go",
		old: `max(of+Bump, r.At.UnixMicro())`, new: `of + Bump`,
		pkg: datadirs, run: "TestTwoRestores"},
	{name: "a status is put where the key was altered", file: kept + "/presence.go",
		old: `clientv3.Compare(clientv3.ModRevision(key), "=", at)`, new: `clientv3.Compare(clientv3.ModRevision(key), ">", at-at-1)`,
		pkg: kept, run: "TestAReplicaPublishes"},
	{name: "a replica that stops does not publish that it leaves", file: kept + "/presence.go",
		old: `if e := s.engine.Load(); e == nil || e.SettleEnds() {`, new: `if false {`,
		pkg: kept, run: "TestAReplicaPublishes"},
	{name: "a key that cannot be read says that all is settled", file: kept + "/replicas.go",
		old: `if w.Settled == nil || *w.Settled < 0 {`, new: `if w.Settled == nil {`,
		pkg: kept, run: "TestWhatAReplicaSays"},
	{name: "garbage has a rank", file: kept + "/replicas.go",
		old: `if !ok || kv.Lease == 0 {`, new: `if !ok && kv.Lease == 0 {`,
		pkg: kept, run: "TestRanks"},
	{name: "service-center's transactions do not look for marks", file: sc + "/refusals.go",
		old: `clientv3.Compare(clientv3.CreateRevision(keys.MarkPrefix+id), "=", 0)`, new: `clientv3.Compare(clientv3.CreateRevision(keys.MarkPrefix+id), ">", -1)`,
		pkg: adapter, run: "TestNoRouteWrites"},
	{name: "leases of ours are renewed for anybody", file: sc + "/refusals.go",
		old: "	case r.leases.has(id):\n\t\treturn nil", new: "	case true:\n\t\treturn nil",
		pkg: adapter, run: "TestNoRouteWrites"},
	{name: "where a name leads is not looked at", file: sc + "/finalkeys.go",
		old: `s.named(tenant, rest)`, new: `_ = rest`,
		pkg: adapter, run: "TestNoRouteWrites"},
	{name: "a key may have any number of segments", file: sc + "/finalkeys.go",
		old: `return len(rest) == 1 && identifier(rest[0])`, new: `return true`,
		pkg: sc, run: "TestFinalKeys"},
	{name: "another client's microservice is adopted", file: kept + "/microservice.go",
		old: `return st.records > 0 || free`, new: `return st.records >= 0 || free`,
		pkg: kept, run: "TestAMicroserviceOfAStranger"},
	{name: "the microservice may be taken meanwhile", file: kept + "/txn.go",
		old: `out = st.appendCompares(out)`, new: `_ = st.appendCompares`,
		pkg: kept, run: "TestAMicroserviceTakenBetween"},
	{name: "a list leaves rules of other clients", file: kept + "/repairchecks.go",
		old: "if _, ours := m.first[id]; ours {\n\t\t\t\tm.queueDelete(kind, kv)", new: "if _, ours := m.first[id]; ours && false {\n\t\t\t\tm.queueDelete(kind, kv)",
		pkg: kept, run: "TestAListPutsRight"},
	{name: "removal goes on amid a mass", file: engine + "/dispatch.go",
		old: "\tcase massive:\n", new: "\tcase massive && false:\n",
		pkg: engine, run: "TestNothingIsRemovedAmidAMass"},
	{name: "what is known counts, although the store went on", file: engine + "/flow_beat.go",
		old: `if in.Watched >= r.Revision && in.Known.on(f.lease) {`, new: `if in.Known.on(f.lease) {`,
		pkg: engine, run: "TestTheStepsOfAHeartbeat"},
	{name: "a retry has an id of its own", file: notifier + "/message.go",
		old: `fmt.Sprintf("%s-%x-%d-%d", s.ID, last.made, events[0].at, last.at)`, new: `fmt.Sprint(last.at, plugins.NewUUID())`,
		pkg: notifier, run: "TestAWebhookID"},
	{name: "a redirect is followed", file: notifier + "/webhook.go",
		old: `{ return http.ErrUseLastResponse }`, new: `{ return nil }`,
		pkg: notifier, run: "TestHostileSubscribers"},
	{name: "any address is called", file: notifier + "/policy.go",
		old: `|| !p.dials(a) {`, new: `{`,
		pkg: notifier, run: "TestNoCallback"},
	{name: "what failed counts as delivered", file: notifier + "/queue.go",
		old: `	case r.delivered():`, new: `	case !r.gone():`,
		pkg: notifier, run: "TestTheRetryClock"},
	{name: "a group is not fixed before its first attempt", file: notifier + "/queue.go",
		old: `	if n > 1 || q.head[0].at <= q.cursor.Passed {`, new: `	if q.head[0].at <= q.cursor.Passed {`,
		pkg: notifier, run: "TestWhatComes|TestATakeOverRepeats"},
	{name: "an event is pending by the furthest cursor, and not by the last", file: "plugins/cursorset.go",
		old: `if at, is := w.least[i]; !is || all < at {`, new: `if at, is := w.least[i]; !is || all > at {`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "of a filter one value makes events pending", file: "plugins/cursorset.go",
		old: `for _, i := range FilterKeysOf(asked) {`, new: `for _, i := range FilterKeysOf(asked)[:1] {`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "who asked for a state is not found", file: "plugins/filterindex.go",
		old: `if s&is != 0 && (`, new: `if s&is != 0 && s == anyState && (`,
		pkg: "plugins", run: "TestTheIndex"},
	{name: "a cursor passes what is not told yet", file: notifier + "/putoff.go",
		old: `		passed = q.pending[i].at - 1`, new: `		passed = q.pending[i].at`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "what a cursor leaves out is superseded by what came later", file: "plugins/cursorset.go",
		old: `if later.At <= c.Newest && after[i+1].AskedBy(`, new: `if later.At > 0 && after[i+1].AskedBy(`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "a fixed group is left out", file: "plugins/cursorset.go",
		old: `case at > c.Newest || slices.Contains(c.Group, at):`, new: `case at > c.Newest:`,
		pkg: notifier, run: "TestTheModelOfDelivery"},
	{name: "a take-over begins with what was superseded", file: notifier + "/putoff.go",
		old: `	if slices.ContainsFunc(q.superseded, func(m *message) bool { return m.at < first.at }) {`, new: `	if false {`,
		pkg: notifier, run: "TestATakeOverBegins"},
	{name: "a take-over begins before it knows the newest", file: notifier + "/queue.go",
		old: `	if q.seen < q.cursor.Newest || q.seen < q.cursor.Passed {`, new: `	if q.seen < q.cursor.Passed {`,
		pkg: notifier, run: "TestALimitIsEnforced"},
	{name: "a dead consumer keeps everything", file: notifier + "/compaction.go",
		old: `	if q.bytes <= most {`, new: `	if q.bytes <= most || q.shedTo == 0 {`,
		pkg: notifier, run: "TestADeadConsumer"},
	{name: "all together keep what they like", file: notifier + "/retention.go",
		old: `	if r.bytes.Add(int64(m.size)) > r.total() {`, new: `	if r.bytes.Add(int64(m.size)) < 0 {`,
		pkg: notifier, run: "TestAllTogether"},
	{name: "each erased event closes its gap", file: notifier + "/backlog.go",
		old: `if b.erased++; 2*b.erased < len(b.list) {`, new: `if b.erased++; false {`,
		pkg: notifier, run: "TestErasing"},
	{name: "whoever is cut off is not woken", file: notifier + "/lease.go",
		old: `if now, _ := d.now(); last != 0 && now-last < trustTime {`, new: `if now, _ := d.now(); last != 0 || now-last < trustTime {`,
		pkg: notifier, run: "TestTheRenewalWakes"},
	{name: "a lock outlives its lease", file: notifier + "/lease.go",
		old: `return at != 0 && now-at < trustTime`, new: `return at != 0`,
		pkg: notifier, run: "Test"},
	{name: "what nobody reads is kept without bound", file: log + "/queue.go",
		old: `if q.dropping || len(q.lines) >= maxLines || q.bytes+len(p) > maxBytes {`, new: `if q.dropping && len(p) > maxBytes {`,
		pkg: log, run: "TestAReaderThatStops"},
	{name: "there are many gaps where one was", file: log + "/queue.go",
		old: `		q.dropping = true`, new: ``,
		pkg: log, run: "TestAReaderThatStops"},
	{name: "what could not be written is not said", file: log + "/queue.go",
		old: `		q.unreported.add(d)`, new: ``,
		pkg: log, run: "TestAReaderThatFails"},
	{name: "a torn line swallows the next", file: log + "/queue.go",
		old: `if q.torn {`, new: `if false {`,
		pkg: log, run: "TestAReaderThatFails"},
	{name: "each element is a line", file: log + "/repeats.go",
		old: `r.kinds[kind] = &repeat{`, new: `r.kinds[l.message] = &repeat{`,
		pkg: log, run: "TestRepetitions"},
	{name: "a closed pipe ends the process", file: log + "/signals_unix.go",
		old: `{syscall.SIGPIPE, syscall.SIGXFSZ}`, new: `{syscall.SIGXFSZ}`,
		pkg: "test/e2e", run: "TestAReaderThatGoesAway"},
	{name: "etcd's last words are a trace", file: reach + "/startlog.go",
		old: "\tif l.fail == nil {", new: "\tif l.dir != \"\" {",
		pkg: "test/e2e", run: "TestAStartThatFails"},
	{name: "a first start that was cut short stays so", file: datadirs + "/datadir.go",
		old: `if state.index == 0 && l.last == 0 &&`, new: `if false &&`,
		pkg: reach, run: "TestAFirstStart"},
	{name: "to be stopped is a failure", file: "plugins/run.go",
		old: `		r.err = nil`, new: ``,
		pkg: "plugins", run: "TestAStopDuringTheStart"},
	{name: "who cannot be heard is silent", file: "heartbeat/run.go",
		old: `if e.Receiving() {`, new: `if true {`,
		pkg: "heartbeat", run: "TestNobodyIsSilentWhoCannotBeHeard"},
	{name: "a server that stops still receives", file: "plugins/run.go",
		old: `		receiving.Store(false)`, new: ``,
		pkg: "plugins", run: "TestWhenRequestsAreReceived"},
	{name: "a client's body is logged", file: sc + "/sink.go",
		old: `message, e.Error = withoutBody(message), withoutBody(e.Error)`, new: ``,
		pkg: "test/e2e", run: "TestWhatServiceCombsClients"},
	{name: "a made-up method is a label", file: sc + "/labels.go",
		old: `if !labelledMethods[method] {`, new: `if false {`,
		pkg: sc, run: "TestNothingThatIsSent"},
	{name: "a made-up domain is a label", file: sc + "/labels.go",
		old: `if domain != "" && domain != defaultTenant {`, new: `if false {`,
		pkg: sc, run: "TestNothingThatIsSent"},
	{name: "frameworks are remembered", file: sc + "/labels.go",
		old: `prometheus.Unregister(g)`, new: `_ = g`,
		pkg: sc, run: "TestNothingThatIsSent"},
	{name: "finds are remembered for ever", file: sc + "/findcache.go",
		old: `full := b.spent > b.most`, new: `full := false`,
		pkg: sc, run: "TestFindsAreRemembered"},
	{name: "an answer is true for ever", file: sc + "/readthrough_recent.go",
		old: `known.res == nil || known.at != at ||`, new: `known.res == nil ||`,
		pkg: sc, run: "TestAnAnswerIsRemembered"},
	{name: "an answer is remembered while nobody says that it is not true any more", file: sc + "/readthrough_recent.go",
		old: `	if !a.watched {`, new: `	if false {`,
		pkg: sc, run: "TestNothingIsRemembered"},
	{name: "that there is nothing is remembered", file: sc + "/readthrough_recent.go",
		old: `known.res.Count == 0 && !memory {`, new: `false {`,
		pkg: sc, run: "TestThatThereIsNothing"},
	{name: "a watch that broke begins behind what was written meanwhile", file: sc + "/readthrough_watch.go",
		old: `if errors.Is(err, rpctypes.ErrCompacted) {`, new: `if err != nil || errors.Is(err, rpctypes.ErrCompacted) {`,
		pkg: sc, run: "TestNothingIsRemembered"},
	{name: "what was written while no watch ran is not told", file: sc + "/readthrough_watch.go",
		old: `	case d.again && anew:`, new: `	case false:`,
		pkg: sc, run: "TestNothingIsRemembered"},
	{name: "a start tells of every microservice", file: sc + "/readthrough_watch.go",
		old: `key = clientv3.GetPrefixRangeEnd(tenant)`, new: `_, key = tenant, first+"\x00"`,
		pkg: sc, run: "TestAStartTells"},
	{name: "the elements of a list are not counted", file: sc + "/bodies.go",
		old: `elements[depth] > maxElements {`, new: `false {`,
		pkg: sc, run: "TestListsInBodies"},
	{name: "what was refused is paid for", file: limiter + "/limits.go",
		old: `if !anyway {`, new: `if false {`,
		pkg: limiter, run: "TestTheWaitIsExact"},
	{name: "a debt is forgiven", file: limiter + "/table.go",
		old: `if !old.full(t.rates, now) {`, new: `if false {`,
		pkg: limiter, run: "TestNobodyIsForgiven"},
	{name: "made-up names have no bound", file: limiter + "/limits.go",
		old: `w > wait {`, new: `w > wait && scope(s) != ofAll {`,
		pkg: limiter, run: "TestMadeUpNames"},
	{name: "an identity pays by the path", file: limiter + "/limits.go",
		old: `case id != nil:`, new: `case id != nil && app == "":`,
		pkg: limiter, run: "TestAnIdentityIsOneCaller"},
	{name: "a request id is taken as it comes", file: limiter + "/audit.go",
		old: `len(values) != 1 || len(values[0]) > 64 {`, new: `len(values) != 1 {`,
		pkg: limiter, run: "TestNothingThatACallerSends"},
	{name: "refusals of one hide those of another", file: limiter + "/auditsums.go",
		old: `kind := refusalKind{"id " + l.Identity, l.Method,`, new: `kind := refusalKind{"id", l.Method,`,
		pkg: limiter, run: "TestRefusalsThatRepeat"},
	{name: "failures fill the audit log", file: limiter + "/auditsums.go",
		old: `if l.Outcome == outcomeDone {`, new: `if l.Outcome != outcomeRefused {`,
		pkg: limiter, run: "TestFailuresThatRepeat"},
	{name: "kinds of refusals have no bound", file: limiter + "/auditsums.go",
		old: `len(s.kinds) >= maxSums {`, new: `false {`,
		pkg: limiter, run: "TestTheKindsOfRefusals"},
	{name: "the audit file stays where it was moved", file: limiter + "/auditfile.go",
		old: `return !os.SameFile(is, named)`, new: `return !os.SameFile(is, is) && named == nil`,
		pkg: limiter, run: "TestTheAuditFileIsPrivate"},
	{name: "heartbeats are held up", file: limiter + "/hold.go",
		old: `!plugins.Beats(r) && !plugins.BeatsMany(r) && !plugins.RegistryBeats(r)`, new: `!plugins.RegistryBeats(r)`,
		pkg: limiter, run: "TestWhoAsksForVeryMuch"},
	{name: "an identity's requests are worked on all at once", file: limiter + "/slots.go",
		old: `case q.taken < s.most:`, new: `case q.taken < 100:`,
		pkg: limiter, run: "TestAFloodLeaves"},
	{name: "heartbeats need slots", file: limiter + "/slots.go",
		old: `caller == nil || plugins.Beats(r) ||`, new: `caller == nil ||`,
		pkg: limiter, run: "TestAFloodLeaves"},
	{name: "a slot is not given back", file: limiter + "/slots.go",
		old: `defer held.end()`, new: `defer func() { _ = held.end }()`,
		pkg: limiter, run: "TestASlotIsGivenBack"},
	{name: "a request that waits keeps its slot", file: limiter + "/slots.go",
		old: `time.AfterFunc(slotTime, held.release)`, new: `time.AfterFunc(slotTime, func() {})`,
		pkg: limiter, run: "TestASlotIsGivenBack"},
	{name: "lists of one identity follow one another at once", file: limiter + "/slots.go",
		old: `w.late.Reset(rests * time.Since(w.taken))`, new: `w.release()`,
		pkg: limiter, run: "TestASlotRestsAfterAList"},
	{name: "a list gives its slot back before it is written", file: limiter + "/slots.go",
		old: `case !w.list || status != http.StatusOK:`, new: `case true:`,
		pkg: limiter, run: "TestASlotRestsAfterAList"},
	{name: "a slow reader of a list keeps its slot", file: limiter + "/slots.go",
		old: `		w.begun = true
`, new: ``,
		pkg: limiter, run: "TestASlowReaderOfAListKeepsNoSlot"},
	{name: "large lists count as small ones", file: "plugins/responses.go",
		old: `reads(r) && out.written > largeWrite {`, new: `false {`,
		pkg: "plugins", run: "TestALargeAnswerCounts"},
	{name: "an identity hides behind its address", file: "plugins/owners.go",
		old: `return "id " + by.Name`, new: `return c.peer`,
		pkg: "plugins", run: "TestTheIdentityWithTheMostConnections"},
	{name: "lists take places before they are counted", file: "plugins/responses.go",
		old: `wait := rs.overLimit(r, kind); wait > 0 {`, new: `wait := rs.overLimit(r, kind); wait > 0 && kind == metricsKind {`,
		pkg: "plugins", run: "TestTooManyLists"},
	{name: "one address uses up what all have", file: limiter + "/limits.go",
		old: `perAddress = 0.5`, new: `perAddress = 1`,
		pkg: limiter, run: "TestOneAddress"},
	{name: "the remedy is limited", file: "mp1/server/routes.go",
		old: `m.verb != http.MethodGet && m.verb != http.MethodDelete`, new: `m.verb != http.MethodGet`,
		pkg: "mp1/server", run: "TestWritesAreLimited"},
	{name: "a heartbeat is limited", file: "mp1/server/routes.go",
		old: `return !m.heartbeat && m.verb`, new: `return m.verb`,
		pkg: "mp1/server", run: "TestWritesAreLimited"},
	{name: "what is unread is not bounded", file: "plugins/responses.go",
		old: `|| rs.held+n <= rs.most
`, new: `|| true
`,
		pkg: "plugins", run: "TestUnreadAnswers"},
	{name: "what one service has is made for all at a time", file: "plugins/responses.go",
		old: `case "instances", "schemas",`, new: `case "none",`,
		pkg: "plugins", run: "TestFewFinds"},
	{name: "a reader may stand still", file: "plugins/responsewriter.go",
		old: `_ = w.control.SetWriteDeadline(deadline)`, new: `_ = deadline`,
		pkg: "plugins", run: "TestUnreadAnswers|TestAReader"},
	{name: "a list is shown as it was", file: "plugins/servicemgmt/lists.go",
		old: `if old != nil && old.at == now.at {`, new: `if old != nil {`,
		pkg: "plugins/servicemgmt", run: "TestReadersShare"},
	{name: "the living make room too", file: "plugins/servicemgmt/limit.go",
		old: `it.state == heartbeat.Suspended && it.name`, new: `it.name`,
		pkg: "plugins/servicemgmt", run: "TestTheDeadOfTheSameName"},
	{name: "any name makes room", file: "plugins/servicemgmt/limit.go",
		old: ` && it.name == c.name`, new: ``,
		pkg: "plugins/servicemgmt", run: "TestTheDeadOfTheSameName"},
	{name: "one of the dead makes room for two", file: "plugins/servicemgmt/limit.go",
		old: `			x.displacing[it.id] = true`, new: `			_ = it`,
		pkg: "plugins/servicemgmt", run: "TestRegistrationsAtOnceChoose"},
	{name: "hanging connections make no room", file: "plugins/connections.go",
		old: `|| one.withinShare && what >= busy {`, new: `|| what >= busy {`,
		pkg: "plugins", run: "TestThereIsRoom"},
	{name: "the few make room for the many", file: "plugins/connections.go",
		old: `perOwner[t.owner()] <= share}`, new: `perOwner[t.owner()] <= 0*share}`,
		pkg: "plugins", run: "TestWhoeverHasTheMost"},
	{name: "evidence is ignored", file: engine + "/local.go",
		old: `return l.hasEvidence && now.Sub(l.EvidenceAt) < r.window()`, new: `return false`,
		pkg: "test/chaos", run: "TestFalseRevocations", lab: true},
	{name: "a pause is credited", file: engine + "/health.go",
		old: "\t\th.Disturb()\n\t\treturn\n", new: "\t\th.Disturb()\n\t\th.Credited = h.Credited.Add(elapsed)\n\t\treturn\n",
		pkg: "test/chaos", run: "TestSiteAsleep", lab: true},
	{name: "nobody suspects himself", file: engine + "/health.go",
		old: `func (h *Health) Disturb() {`, new: "func (h *Health) Disturb() {\n\treturn\n",
		pkg: "test/chaos", run: "TestSiteAsleep", lab: true},
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// TestMutantsFitTheSources needs no run: a mutant that no longer fits its file would
// be caught by nobody.
func TestMutantsFitTheSources(t *testing.T) {
	require.GreaterOrEqual(t, len(mutants), 10)
	for _, m := range all() {
		b, err := os.ReadFile(filepath.Join(root(t), m.file))
		require.NoError(t, err)
		if n := bytes.Count(b, []byte(m.old)); n != 1 {
			t.Errorf("%s: %q is %d times in %s, not once", m.name, m.old, n, m.file)
		}
	}
}

// all are the mutants of all files.
func all() []mutant {
	return slices.Concat(mutants, formMutants, timeMutants, agentMutants, ownershipMutants, scaleMutants, clientMutants, followMutants, chassisMutants, agentHeaderMutants, edgeGalleryMutants, gatewayMutants, webhookMutants, tlsMutants, identityMutants, accessMutants, commandMutants, issuerMutants, dnsMutants, ruleMutants, terminationMutants, mm5Mutants, drainMutants, eventMutants, flappingMutants, endMutants, memoryMutants, unansweredMutants, sweepMutants)
}

func TestEveryMutantIsCaught(t *testing.T) {
	if !*unit && !*lab {
		t.Skip("run it with -mutants (minutes) or -lab (many minutes)")
	}
	passed := map[string]bool{}
	for _, m := range all() {
		if m.lab && !*lab || !m.lab && !*unit {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			target := m.pkg + " " + m.run
			if !passed[target] {
				out, err := goTest(t, m, "")
				require.NoError(t, err, "the target must pass without the mutant\n%s", out)
				passed[target] = true
			}
			out, err := goTest(t, m, overlay(t, m))
			require.Error(t, err, "nobody noticed\n%s", out)
			require.NotContains(t, out, "[build failed]")
			require.Contains(t, out, "--- FAIL: ", "%s", out)
			t.Logf("caught by %s", target)
		})
	}
}

// overlay has the go command see the mutant in place of the file.
func overlay(t *testing.T, m mutant) string {
	t.Helper()
	path := filepath.Join(root(t), m.file)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(b), m.old, m.new, 1)), 0o600))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, list, 0o600))
	return file
}

func goTest(t *testing.T, m mutant, overlay string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	// Vet would refuse what some mutants are; the laboratory builds the program with GOFLAGS.
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-run", "^("+m.run+")", "./"+m.pkg)
	cmd.Dir = root(t)
	if overlay != "" {
		cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
