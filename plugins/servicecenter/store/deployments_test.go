package store

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func someDeployment(app string) plugins.Deployment {
	dns := mp1.DNSRule{DNSRuleID: "d", DomainName: "a.example", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.1", State: mp1.RuleActive}
	return plugins.Deployment{App: app, Configured: &plugins.DeploymentConfig{AppName: "n", SupportMp1: true}, Leaving: true, Forget: true, Tasks: []plugins.DeploymentTask{
		{ID: "1", Result: plugins.TaskFailure, Reason: "it is full", Begun: 5},
		{ID: "2", Result: plugins.TaskProcessing, Begun: 6, Config: &plugins.DeploymentConfig{AppName: "m"}, Wanted: &mp1.RuleSet{DNSRules: []mp1.DNSRule{dns}}, Before: &mp1.RuleSet{}}}}
}

func TestADeploymentIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	shown := map[string]plugins.Deployment{}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		store.FollowDeployments(ctx, func(all []plugins.Deployment, _ heartbeat.Revision) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range all {
				shown[d.App] = d
			}
		}, func(d plugins.Deployment, erased bool) {
			mu.Lock()
			defer mu.Unlock()
			if shown[d.App] = d; erased {
				delete(shown, d.App)
			}
		}, func(string, error) {})
	})
	defer func() { cancel(); work.Wait() }()
	get := func(app string) plugins.Deployment { mu.Lock(); defer mu.Unlock(); return shown[app] }

	d := someDeployment("app-deployed")
	var err error
	d.At, err = store.SaveDeployment(t.Context(), d)
	require.NoError(t, err)
	got, err := store.Deployment(t.Context(), d.App)
	require.NoError(t, err)
	require.Equal(t, d, got)
	require.Eventually(t, func() bool { return get(d.App).At == d.At }, time.Minute, time.Millisecond)
	require.Equal(t, d, get(d.App))

	_, err = store.SaveDeployment(t.Context(), someDeployment(d.App))
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	_, err = store.EraseDeployment(t.Context(), d.App, d.At-1)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	_, err = store.EraseDeployment(t.Context(), d.App, d.At)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return get(d.App).At == 0 }, time.Minute, time.Millisecond)
	got, err = store.Deployment(t.Context(), d.App)
	require.NoError(t, err)
	require.Equal(t, plugins.Deployment{App: d.App}, got)
}

// Of two that give names at once, which may be the same, one has to look again.
func TestNamesAreGivenOneAfterTheOther(t *testing.T) {
	t.Parallel()
	names, err := store.DeploymentNames(t.Context())
	require.NoError(t, err)
	first, second := someDeployment("app-named-1"), someDeployment("app-named-2")
	first.At, err = store.SaveNamedDeployment(t.Context(), first, names)
	require.NoError(t, err)
	_, err = store.SaveNamedDeployment(t.Context(), second, names)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	got, err := store.Deployment(t.Context(), second.App)
	require.NoError(t, err)
	require.Zero(t, got.At)
	names, err = store.DeploymentNames(t.Context())
	require.NoError(t, err)
	require.Equal(t, first.At, names, "one transaction")
	_, err = store.SaveNamedDeployment(t.Context(), second, names)
	require.NoError(t, err)
	_, err = store.SaveNamedDeployment(t.Context(), someDeployment(first.App), names)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	got, err = store.Deployment(t.Context(), first.App)
	require.NoError(t, err)
	require.Equal(t, first, got)
}

// What a later release adds survives what this one writes, and what cannot be read is as good
// as not there.
func TestADeploymentKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	d := someDeployment("app-deployed-later")
	_, err := store.SaveDeployment(t.Context(), d)
	require.NoError(t, err)
	key := keys.DeploymentPrefix + d.App
	_, err = store.client.Put(t.Context(), key, strings.TrimSuffix(storetest.Value(t, store.client, key), "}")+`,"younger":[1]}`)
	require.NoError(t, err)
	d, err = store.Deployment(t.Context(), d.App)
	require.NoError(t, err)
	d.Tasks, d.Leaving, d.Forget = nil, false, false
	_, err = store.SaveDeployment(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, `{"schema":1,"configured":{"appName":"n","supportMp1":true},"younger":[1]}`, storetest.Value(t, store.client, key))
	for _, value := range []string{"{", `{"schema":2}`, `{"schema":1,"tasks":1}`} {
		put, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
		d, err = store.Deployment(t.Context(), d.App)
		require.NoError(t, err)
		require.Equal(t, plugins.Deployment{App: d.App, At: heartbeat.Revision(put.Header.Revision)}, d)
	}
	_, err = store.EraseDeployment(t.Context(), d.App, d.At)
	require.NoError(t, err)
}
