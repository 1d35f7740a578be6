package servicecenter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// swapped is a platform whose image is exchanged, perhaps several times.
type swapped struct {
	t      *testing.T
	store  *store.Store
	client *etcd.Client
	start  func(from string) (said string)
}

func swap(t *testing.T) *swapped {
	c := importConfig(t)
	s, client, _ := opened(t, c)
	o := etcd.Options{DataDir: c.Store.DataDir, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
	return &swapped{t, s, client, func(from string) string {
		t.Helper()
		var lines etcdtest.Lines
		h := &plugins.Host{Config: c, Log: plugins.NewLog(&lines, "INFO")}
		h.Config.EdgeGallery.ImportFrom = from
		require.NoError(t, importAtStart(t.Context(), h, s, o))
		return lines.String()
	}}
}

func (s *swapped) services() int64 {
	got, err := s.client.Get(s.t.Context(), keys.RecordPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(s.t, err)
	return got.Count
}

// first is a service of the import, in the state that is asked for.
func (s *swapped) first(state heartbeat.State) heartbeat.Snapshot {
	all, _, err := s.store.List(s.t.Context())
	require.NoError(s.t, err)
	for _, l := range all {
		if l.Record.State == state {
			got, err := s.store.Read(s.t.Context(), l.ID)
			require.NoError(s.t, err)
			return got
		}
	}
	s.t.Fatal("there is none that is ", state)
	return heartbeat.Snapshot{}
}

// become writes a state of a service for a cause.
func (s *swapped) become(from, to heartbeat.State, why heartbeat.CauseKind) {
	now := s.first(from)
	r := now.Record
	r.State, r.Lease, r.Cause, r.Seq = to, 0, heartbeat.Cause{Kind: why}, r.Seq+1
	_, err := s.store.Commit(s.t.Context(), &heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: now.At, From: r.Place, Was: from,
		RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.StateChanged})
	require.NoError(s.t, err)
}

// written has the files of a source be written to after now.
func written(t *testing.T, from string) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(from, "member", "snap", "db"), later, later))
}

const (
	anew = "its services are imported anew"
	kept = "applications have written here as well"
)

// The old image goes on beside the new one, or again after it: what it has written by then is
// there, as long as nobody has written here.
func TestWhatTheOldServerHasWrittenSinceIsImportedWhileNobodyWroteHere(t *testing.T) {
	t.Parallel()
	s := swap(t)
	at := platform(t, 6)
	require.Contains(t, s.start(at), `"services":6`)
	require.Contains(t, s.start(at), "were imported before")
	// What the platform does by itself, when nobody beats here.
	s.become(heartbeat.Active, heartbeat.Suspended, heartbeat.BySilence)
	s.become(heartbeat.Suspended, heartbeat.Active, heartbeat.ByHeartbeat)
	said := s.start(platform(t, 9))
	require.Contains(t, said, anew)
	require.Contains(t, said, `"WARN"`)
	require.EqualValues(t, 9, s.services())
	events, err := s.client.Get(t.Context(), keys.OutboxPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, events.Count)
	fewer := platform(t, 3)
	require.Contains(t, s.start(fewer), anew)
	require.EqualValues(t, 3, s.services())
	require.Contains(t, s.start(fewer), "were imported before", "once for each change")
	storetest.Repaired(t, s.store)
}

func TestNothingThatWasWrittenHereIsImportedOver(t *testing.T) {
	t.Parallel()
	from := platform(t, 6)
	for name, write := range map[string]func(s *swapped) error{
		"a registration": func(s *swapped) error { storetest.Register(s.t, s.store, "app-new"); return nil },
		"a removal": func(s *swapped) error {
			now := s.first(heartbeat.Active)
			_, err := s.store.Commit(s.t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: now.At, From: now.Record.Place, Was: now.Record.State,
				RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Record: now.Record, Change: heartbeat.Removed})
			return err
		},
		"a state": func(s *swapped) error {
			s.become(heartbeat.Active, heartbeat.Inactive, heartbeat.ByApplication)
			return nil
		},
		"a drain": func(s *swapped) error {
			s.become(heartbeat.Active, heartbeat.Drained, heartbeat.ByDrain)
			return nil
		},
		"a subscription": func(s *swapped) error {
			_, err := s.store.Subscribe(s.t.Context(), &plugins.Subscription{ID: "mine", Owner: "app-0",
				Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://10.0.0.9/"}})
			return err
		},
		"a configuration": func(s *swapped) error {
			_, err := s.store.SaveDeployment(s.t.Context(), plugins.Deployment{App: "app-9", Tasks: []plugins.DeploymentTask{{ID: "t", Result: plugins.TaskProcessing}}})
			return err
		},
		"a rule": func(s *swapped) error {
			r := mp1.DNSRule{DNSRuleID: "d", DomainName: "a.example", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.1", State: mp1.RuleActive}
			changed := r
			changed.State = mp1.RuleInactive
			_, err := s.store.SaveRules(s.t.Context(), plugins.Rules{App: "app-0", DNS: []plugins.DNSRule{{Defined: r, Rule: changed}}})
			return err
		},
		"an application": func(s *swapped) error {
			_, err := s.store.SaveApplication(s.t.Context(), plugins.Application{Info: mp1.AppInfo{AppInstanceID: "app-9"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := swap(t)
			s.start(from)
			require.NoError(t, write(s))
			before := storetest.Everything(t, s.client)
			said := s.start(platform(t, 3))
			require.Contains(t, said, kept)
			require.Contains(t, said, `"WARN"`)
			require.Equal(t, before, storetest.Everything(t, s.client))
		})
	}
	t.Run("what an older release has imported", func(t *testing.T) {
		t.Parallel()
		s := swap(t)
		s.start(from)
		done, _, err := s.store.Imported(t.Context())
		require.NoError(t, err)
		done.Holds = ""
		require.NoError(t, s.store.MarkImport(t.Context(), *done))
		require.Contains(t, s.start(platform(t, 3)), kept)
		require.EqualValues(t, 6, s.services())
	})
}

// What the driver of tasks writes for a manager is no wish of anybody's here.
func TestRulesThatTasksDefineDoNotKeepAnImport(t *testing.T) {
	t.Parallel()
	s := swap(t)
	s.start(platform(t, 3))
	before, err := s.store.Holds(t.Context())
	require.NoError(t, err)
	r := mp1.DNSRule{DNSRuleID: "d", DomainName: "a.example", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.1", State: mp1.RuleActive}
	_, err = s.store.SaveRulesWithNames(t.Context(), plugins.Rules{App: "app-0", DNS: []plugins.DNSRule{{Defined: r, Rule: r, Outcome: plugins.RuleOutcome{State: mp1.RuleActive, Driver: "hosts", Time: 1}}}}, 0)
	require.NoError(t, err)
	after, err := s.store.Holds(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A start that is killed while it imports anew leaves a half import, which the next one does
// again; one that cannot read the source serves what is there.
func TestAnImportAnewThatIsCutOffIsDoneAgain(t *testing.T) {
	t.Parallel()
	s := swap(t)
	s.start(platform(t, 6))
	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "member", "snap", "db"), []byte("no database"), 0o600))
	written(t, damaged)
	require.Contains(t, s.start(damaged), "what was imported before is served")
	require.EqualValues(t, 6, s.services())

	from := platform(t, 9)
	for _, erased := range []int{0, 2, 99} { // killed after the mark, while it erases instances, and after that
		require.NoError(t, s.store.MarkImport(t.Context(), store.Import{Begun: 1}))
		all, _, err := s.store.List(t.Context())
		require.NoError(t, err)
		for _, l := range all[:min(erased, len(all))] {
			_, err := s.client.Delete(t.Context(), keys.InstanceOf(l.ID, l.Record.Place).Key())
			require.NoError(t, err)
		}
		if erased > len(all) {
			_, err := s.client.Delete(t.Context(), keys.RecordPrefix, clientv3.WithPrefix())
			require.NoError(t, err)
		}
		require.Contains(t, s.start(from), "EdgeGallery's services were imported")
		require.EqualValues(t, 9, s.services())
		storetest.Repaired(t, s.store)
	}
}
