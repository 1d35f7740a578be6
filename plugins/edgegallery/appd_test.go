package edgegallery

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	configurationPath = "/mepcfg/app_lcm/v1/applications/app-1/appd_configuration"
	withDNS           = `{"appName":"demo","appSupportMp1":true,"appDnsRule":[{"dnsRuleId":"d","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","ttl":30}]}`
	withoutRules      = `{"appName":"demo","appTrafficRule":[],"appDNSRule":[]}`
)

// inSite runs a test with a site whose worker runs, in a bubble of time.
func inSite(t *testing.T, test func(t *testing.T, s *site)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.work.run(ctx) }()
		defer func() { cancel(); <-done }()
		test(t, s)
	})
}

// asked sends a configuration, which must be taken, and returns its task.
func (s *site) asked(t *testing.T, verb, body string) string {
	t.Helper()
	status, answered := ask(t, s, verb, configurationPath, body)
	require.Equal(t, http.StatusOK, status, answered)
	var p progress
	require.NoError(t, json.Unmarshal([]byte(answered), &p))
	require.Equal(t, progress{p.TaskID, "app-1", plugins.TaskProcessing, "0", "Operation In progress"}, p)
	return p.TaskID
}

// polled is what came of a task.
func (s *site) polled(t *testing.T, id string) progress {
	t.Helper()
	synctest.Wait()
	status, answered := ask(t, s, http.MethodGet, "/mepcfg/app_lcm/v1/tasks/"+id+"/appd_configuration", "")
	require.Equal(t, http.StatusOK, status, answered)
	var p progress
	require.NoError(t, json.Unmarshal([]byte(answered), &p))
	return p
}

func TestAConfigurationIsATaskThatSucceeds(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		for _, c := range []struct{ create, update string }{{withDNS, withoutRules}, {withoutRules, withDNS}} {
			status, _ := ask(t, s, http.MethodGet, configurationPath, "")
			require.Equal(t, http.StatusNotFound, status)
			id := s.asked(t, http.MethodPost, c.create)
			require.Equal(t, progress{id, "app-1", plugins.TaskSuccess, "100", ""}, s.polled(t, id))
			updated := s.asked(t, http.MethodPut, c.update)
			require.Equal(t, plugins.TaskSuccess, s.polled(t, updated).ConfigResult)
			require.Equal(t, plugins.TaskSuccess, s.polled(t, id).ConfigResult, "the one before can still be polled")
			removed := s.asked(t, http.MethodDelete, "")
			require.Equal(t, plugins.TaskSuccess, s.polled(t, removed).ConfigResult)
			require.Empty(t, s.rules.of["app-1"].DNS)
		}
	})
}

func TestAConfigurationIsShownWithItsRules(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		s.polled(t, s.asked(t, http.MethodPost, withDNS))
		status, body := ask(t, s, http.MethodGet, configurationPath, "")
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `{"appTrafficRule":[],"appDNSRule":[{"dnsRuleId":"d","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","ttl":30,"state":"ACTIVE"}],"appSupportMp1":true,"appName":"demo"}`, body)
	})
}

// MECM sends no Content-Type, and curl one of forms.
func TestTheTypeOfABodyDoesNotMatter(t *testing.T) {
	s := newSite()
	for _, kind := range []string{"", "application/x-www-form-urlencoded", "text/plain"} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPut, configurationPath, strings.NewReader(withDNS))
		r.Header["Content-Type"] = []string{kind}
		s.ServeHTTP(w, r)
		require.Equal(t, http.StatusNotFound, w.Code, "the application is not configured")
	}
}

// A DNS server that restarts must not fail a task, and one that stays away must.
func TestATaskFailsWithTheReasonAndLeavesTheRulesAsTheyWere(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		s.polled(t, s.asked(t, http.MethodPost, withDNS))
		s.rules.set("connection refused\x1b[2J", false)
		id := s.asked(t, http.MethodPut, strings.Replace(withDNS, "192.0.2.7", "192.0.2.8", 1))
		require.Equal(t, plugins.TaskProcessing, s.polled(t, id).ConfigResult)
		time.Sleep(failTime - time.Second)
		require.Equal(t, plugins.TaskProcessing, s.polled(t, id).ConfigResult)
		time.Sleep(2 * time.Second)
		p := s.polled(t, id)
		require.Equal(t, plugins.TaskFailure, p.ConfigResult)
		require.Equal(t, "0", p.ConfigPhase)
		require.Contains(t, p.Detailed, "www.example.com: connection refused")
		require.NotContains(t, p.Detailed, "\x1b")
		require.Equal(t, "192.0.2.7", s.rules.of["app-1"].DNS[0].Rule.IPAddress)
		require.Contains(t, s.log.said(), "application not configured")
	})
}

func TestATaskOfWhichTheDriverSaysNothingFailsBeforeMECMGivesUp(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		s.rules.set("", true)
		id := s.asked(t, http.MethodPost, withDNS)
		time.Sleep(giveUpTime - time.Second)
		require.Equal(t, plugins.TaskProcessing, s.polled(t, id).ConfigResult)
		time.Sleep(2 * time.Second)
		require.Equal(t, plugins.TaskFailure, s.polled(t, id).ConfigResult)
		status, _ := ask(t, s, http.MethodGet, configurationPath, "")
		require.Equal(t, http.StatusNotFound, status, "it is not configured")
		s.rules.set("", false)
		require.Equal(t, plugins.TaskSuccess, s.polled(t, s.asked(t, http.MethodPost, withDNS)).ConfigResult, "and can be configured again")
	})
}

func TestATaskWaitsForTheNamesThatItRemovesAndForNoOthers(t *testing.T) {
	removing := func(name string) *plugins.Rules {
		return &plugins.Rules{Removed: []plugins.RuleName{{Name: name, Type: mp1.IPv4}}}
	}
	before := &mp1.RuleSet{DNSRules: []mp1.DNSRule{{DomainName: "mine.example", IPAddressType: mp1.IPv4}}}
	for name, want := range map[string]plugins.TaskResult{"mine.example": plugins.TaskProcessing, "older.example": plugins.TaskSuccess} {
		result, _ := judge(removing(name), before, nil, plugins.Age{}, 1)
		require.Equal(t, want, result, name)
	}
	result, _ := judge(removing("older.example"), nil, nil, plugins.Age{}, 1)
	require.Equal(t, plugins.TaskSuccess, result)
}

// The process may be killed between the answer and the driver's.
func TestATaskSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newSite() // no worker runs
		id := before.asked(t, http.MethodPost, withDNS)
		inStore := before.store.get("app-1")
		after := newSite()
		after.store.kept["app-1"], after.store.at = inStore, inStore.At
		after.kept.load([]plugins.Deployment{inStore}, inStore.At)
		require.Equal(t, plugins.TaskProcessing, after.polled(t, id).ConfigResult)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); after.work.run(ctx) }()
		require.Equal(t, plugins.TaskSuccess, after.polled(t, id).ConfigResult)
		require.Equal(t, []int{1}, after.rules.defined)
		cancel()
		<-done
	})
}

func TestWhatCannotBeConfiguredIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		verb, body string
		before     plugins.Deployment
		refuses    error
		want       int
	}{
		"twice":                 {http.MethodPost, withDNS, plugins.Deployment{Configured: &plugins.DeploymentConfig{AppName: "demo"}}, nil, 400},
		"while another goes on": {http.MethodPost, withDNS, plugins.Deployment{Tasks: []plugins.DeploymentTask{{Result: plugins.TaskProcessing}}}, nil, 403},
		"under another name":    {http.MethodPut, withDNS, plugins.Deployment{Configured: &plugins.DeploymentConfig{AppName: "other"}}, nil, 400},
		"an update of nothing":  {http.MethodPut, withDNS, plugins.Deployment{}, nil, 404},
		"a removal of nothing":  {http.MethodDelete, "", plugins.Deployment{}, nil, 404},
		"a body that is none":   {http.MethodPost, "", plugins.Deployment{}, nil, 400},
		"too large a body":      {http.MethodPost, `{"appName":"` + strings.Repeat("a", maxConfiguration) + `"}`, plugins.Deployment{}, nil, 413},
		"another's domain name": {http.MethodPost, withDNS, plugins.Deployment{}, server.ErrDomainNameTaken, 400},
		"too many":              {http.MethodPost, withDNS, plugins.Deployment{}, server.ErrTooManyRules, 403},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.rules.refuses = c.refuses
			if c.before.Configured != nil || c.before.Tasks != nil {
				c.before.App, c.before.At = "app-1", 1
				s.store.kept["app-1"], s.store.at = c.before, 1
			}
			status, body := ask(t, s, c.verb, configurationPath, c.body)
			require.Equal(t, c.want, status, body)
			require.Equal(t, c.before, s.store.get("app-1"))
		})
	}
	t.Run("another's name", func(t *testing.T) {
		s := newSite()
		s.kept.see(plugins.Deployment{App: "app-2", At: 1, Configured: &plugins.DeploymentConfig{AppName: "demo"}}, false)
		status, _ := ask(t, s, http.MethodPost, configurationPath, withDNS)
		require.Equal(t, http.StatusBadRequest, status)
	})
	t.Run("an application that is being removed", func(t *testing.T) {
		s := newSite()
		s.gone.Store(true)
		status, _ := ask(t, s, http.MethodPost, configurationPath, withDNS)
		require.Equal(t, http.StatusNotFound, status)
	})
	t.Run("without the store", func(t *testing.T) {
		s := newSite()
		s.store.down = true
		status, _ := ask(t, s, http.MethodPost, configurationPath, withDNS)
		require.Equal(t, http.StatusServiceUnavailable, status)
	})
	t.Run("a task that is none", func(t *testing.T) {
		status, _ := ask(t, newSite(), http.MethodGet, "/mepcfg/app_lcm/v1/tasks/5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f/appd_configuration", "")
		require.Equal(t, http.StatusNotFound, status)
	})
}

// Rules that came back after the removal of their application would never go.
func TestATaskOfAnApplicationThatIsRemovedDefinesNothing(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		s.rules.set("", true)
		id := s.asked(t, http.MethodPost, withDNS)
		synctest.Wait()
		n := len(s.rules.defined)
		s.gone.Store(true)
		time.Sleep(2 * workEvery)
		require.Equal(t, plugins.TaskFailure, s.polled(t, id).ConfigResult)
		require.Len(t, s.rules.defined, n)
	})
}

func TestAConfigurationGoesWithItsApplication(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		o := owned{s.kept}
		require.Empty(t, o.Of("app-1"))
		s.polled(t, s.asked(t, http.MethodPost, withDNS))
		ids := o.Of("app-1")
		require.Len(t, ids, 1)
		require.NoError(t, o.Remove(t.Context(), "app-1", "configuration@0"))
		require.NotZero(t, s.store.get("app-1").At, "what was written since is left")
		require.NoError(t, o.Remove(t.Context(), "app-1", ids[0]))
		require.Zero(t, s.store.get("app-1").At)
		require.Empty(t, o.Of("app-1"))
	})
}

func TestTheTasksOfARemovedConfigurationAreForgottenAfterAnHour(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		s.polled(t, s.asked(t, http.MethodPost, withDNS))
		s.polled(t, s.asked(t, http.MethodDelete, ""))
		time.Sleep(pollTime - time.Minute)
		require.NotZero(t, s.store.get("app-1").At)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, s.store.get("app-1").At)
		require.Empty(t, s.kept.tasks)
	})
}

// What a replica wrote itself it knows at once, and a watch that is late takes nothing back.
func TestWhatWasWrittenIsKnownBeforeTheWatchShowsIt(t *testing.T) {
	k := newDeployments(nil, plugins.NewClock())
	d := func(at heartbeat.Revision) plugins.Deployment {
		return plugins.Deployment{App: "a", At: at, Tasks: []plugins.DeploymentTask{{ID: "t"}}}
	}
	k.load(nil, 1)
	k.observe(d(3), false)
	k.see(d(2), false)
	require.Equal(t, heartbeat.Revision(3), k.get("a").At)
	k.load(nil, 2)
	require.NotNil(t, k.get("a"))
	k.observe(plugins.Deployment{App: "a", At: 5}, true)
	require.Nil(t, k.get("a"))
	k.see(d(4), false)
	require.Nil(t, k.get("a"))
	k.see(plugins.Deployment{App: "a", At: 5}, true)
	require.Empty(t, k.apps)
	require.Empty(t, k.tasks)
	k.observe(d(4), false)
	require.Nil(t, k.get("a"), "it was erased since")
	k.load([]plugins.Deployment{d(6)}, 7)
	k.load(nil, 8)
	require.Nil(t, k.get("a"))
}

func TestOnlySoManyDeploymentsAreKept(t *testing.T) {
	s := newSite()
	for i := range maxDeployments {
		s.kept.apps[strconv.Itoa(i)] = &entry{}
	}
	status, _ := ask(t, s, http.MethodPost, configurationPath, withDNS)
	require.Equal(t, http.StatusForbidden, status)
}
