package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// window is how long silence may last under the settings here, for an interval of 1 s.
const window = 2 * time.Second

func TestOWN_SilenceSuspends(t *testing.T) {
	t.Parallel()
	p := begin(t, "5.2.12", "no heartbeat for a window: not before it, but after it the service is hidden and SUSPENDED; GET by id, the owner's list and liveness go on answering")
	s := p.register("n", 1)
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	heard := time.Now()
	wait.Until(t, "hidden", func() bool {
		seen := s.discovered()
		require.True(t, seen || time.Since(heard) >= window, "hidden before its window was over")
		return !seen
	})
	wait.Until(t, "SUSPENDED", func() bool { return s.state() == "SUSPENDED" })
	require.Equal(t, "SUSPENDED", p.want(http.StatusOK, "GET", s.self, "").Object(t)["state"])
	require.Equal(t, "SUSPENDED", p.want(http.StatusOK, "GET", s.liveness, "").Object(t)["state"])
	require.Len(t, p.want(http.StatusOK, "GET", p.of("/services"), "").List(t), 1)
	for _, m := range p.want(http.StatusOK, "GET", mp1.Base+"/services", "").List(t) {
		require.NotEqual(t, s.id, m["serInstanceId"], "SUSPENDED is left out of discovery")
	}
}

func TestOWN_OneNotificationPerTransition(t *testing.T) {
	t.Parallel()
	p := begin(t, "8.1.4.2", "one STATE_CHANGED when a service is suspended, one when it is back, one REMOVED without a link; none for a heartbeat that changes nothing")
	c := newConsumer(t)
	where := p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(c.URL, `{"serNames":["`+t.Name()+`"]}`)).Header.Get("Location")
	s := p.register(t.Name(), 1)
	for range 5 {
		p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	}
	wait.Until(t, "told of the silence", func() bool { return len(c.Changes()) >= 2 })
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	p.want(http.StatusNoContent, "DELETE", s.self, "")
	wait.Until(t, "told of the removal", func() bool { return len(c.Changes()) >= 4 })
	n := t.Name()
	require.Equal(t, []string{n + " ADDED ACTIVE", n + " STATE_CHANGED SUSPENDED", n + " STATE_CHANGED ACTIVE", n + " REMOVED ACTIVE"}, c.Changes())
	for _, one := range c.Receipts() {
		require.Equal(t, "SerAvailabilityNotification", one.NotificationType)
		require.Equal(t, where, one.Links.Subscription.Href)
		for _, r := range one.ServiceReferences {
			require.Equal(t, s.id, r.SerInstanceID)
			require.Equal(t, r.ChangeType == mp1.Removed, r.Link == nil, "a link unless it is REMOVED")
		}
	}
}

func TestOWN_TheTimeStampAdvances(t *testing.T) {
	p := begin(t, "8.1.2.4", "timeStamp is the registration at first, then the last heartbeat")
	s := p.register("n", 10)
	at := func() time.Time {
		var m mp1.ServiceLivenessInfo
		p.want(http.StatusOK, "GET", s.liveness, "").Into(t, &m)
		return time.Unix(int64(m.TimeStamp.Seconds), int64(m.TimeStamp.NanoSeconds))
	}
	first := at()
	require.WithinDuration(t, time.Now(), first, time.Minute)
	require.Equal(t, first, at())
	for range 3 {
		before := at()
		p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
		require.True(t, at().After(before))
	}
}

func TestOWN_AHeartbeatNeverWakesTheInactive(t *testing.T) {
	t.Parallel()
	p := begin(t, "8.2.10.3.3", "PATCH ACTIVE to an INACTIVE service: 409, and it stays INACTIVE; it needs no heartbeat")
	s := p.read(p.want(http.StatusCreated, "POST", p.of("/services"), strings.Replace(serviceInfo("n", `,"livenessInterval":1`), "ACTIVE", "INACTIVE", 1)))
	p.want(http.StatusConflict, "PATCH", s.liveness, mep.Alive)
	time.Sleep(window + 2*time.Second)
	require.Equal(t, "INACTIVE", s.state())
	p.want(http.StatusOK, "PUT", s.self, serviceInfo("n", ""))
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
}

func TestOWN_TheIntervalIsNegotiated(t *testing.T) {
	p := begin(t, "8.1.2.2", "livenessInterval absent: no heartbeats, no link; 0: the platform's; n: n or another; the link stands in every answer that shows the service")
	for _, c := range []struct{ asked, least int }{{-1, 0}, {0, 1}, {7, 7}, {100000, 1}} {
		s := p.register(fmt.Sprint("n", c.asked), c.asked)
		shows := []map[string]any{p.want(http.StatusOK, "GET", s.self, "").Object(t), p.want(http.StatusOK, "GET", mp1.Base+"/services/"+s.id, "").Object(t),
			p.want(http.StatusOK, "PUT", s.self, serviceInfo("n", "")).Object(t), p.want(http.StatusOK, "GET", mp1.Base+"/services?ser_instance_id="+s.id, "").List(t)[0]}
		for _, m := range shows {
			links := m["_links"].(map[string]any)
			require.Equal(t, c.least > 0, links["liveness"] != nil)
			require.Equal(t, c.least > 0, m["livenessInterval"] != nil)
			if c.least > 0 {
				require.GreaterOrEqual(t, m["livenessInterval"], float64(c.least))
				require.Equal(t, s.liveness, links["liveness"].(map[string]any)["href"])
			}
		}
		if c.least == 0 {
			p.want(http.StatusNotFound, "PATCH", s.self+"/liveness", mep.Alive)
			p.want(http.StatusNotFound, "GET", s.self+"/liveness", "")
		}
	}
}

func TestOWN_OnlyTheProducerActs(t *testing.T) {
	p := begin(t, "5.2.12", "a heartbeat, an update or a deletion by another application: 403, and nothing happens; its subscriptions do not exist for others: 404")
	s, sub := p.register("n", 10), p.subscribe()
	other := with(t, shared.For(t))
	foreign := other.of("/services/" + s.id)
	p.want(http.StatusForbidden, "PATCH", foreign+"/liveness", mep.Alive)
	p.want(http.StatusForbidden, "GET", foreign+"/liveness", "")
	p.want(http.StatusForbidden, "PUT", foreign, serviceInfo("mine", ""))
	p.want(http.StatusForbidden, "DELETE", foreign, "")
	for _, method := range []string{"GET", "DELETE"} {
		p.want(http.StatusNotFound, method, strings.Replace(sub, p.app, other.app, 1), "")
	}
	require.Equal(t, "n", p.want(http.StatusOK, "GET", s.self, "").Object(t)["serName"])
	p.want(http.StatusOK, "GET", sub, "")
}

func TestOWN_EveryFilteringCriterion(t *testing.T) {
	t.Parallel()
	p := begin(t, "8.1.3.2", "serInstanceIds, serNames, serCategories, states (after the change) and isLocal select what is told; all that are present must match")
	s := p.read(p.want(http.StatusCreated, "POST", p.of("/services"), strings.NewReplacer("id12345", "its own", `"isLocal":true`, `"isLocal":false`).Replace(serviceInfo("filtered", `,"livenessInterval":1`))))
	told := map[string]*consumer.Consumer{}
	for _, criteria := range []string{`{}`, `{"serInstanceIds":["` + s.id + `"]}`, `{"serInstanceIds":["another"]}`, `{"serNames":["filtered"]}`, `{"serNames":["no","filtered"]}`, `{"serNames":["no"]}`,
		`{"serCategories":[{"href":"/c","id":"its own","name":"RNI","version":"1"}]}`, `{"serCategories":[{"href":"/c","id":"no","name":"RNI","version":"1"}]}`,
		`{"states":["SUSPENDED"]}`, `{"states":["ACTIVE"]}`, `{"isLocal":true}`, `{"isLocal":false}`, `{"serNames":["filtered"],"states":["INACTIVE"]}`} {
		told[criteria] = newConsumer(t)
		full := criteria
		if !strings.Contains(criteria, "ser") { // other tests' services are none of this one's
			full = strings.Replace(criteria, "{", `{"serNames":["filtered"],`, 1)
			full = strings.Replace(full, ",}", "}", 1)
		}
		p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(told[criteria].URL, full))
	}
	wait.Until(t, "suspended", func() bool { return s.state() == "SUSPENDED" })
	p.want(http.StatusNoContent, "PATCH", s.liveness, mep.Alive)
	p.want(http.StatusNoContent, "DELETE", s.self, "")
	wait.Until(t, "told of all", func() bool { return len(told[`{}`].Changes()) == 3 })
	suspended, active, removed := "filtered STATE_CHANGED SUSPENDED", "filtered STATE_CHANGED ACTIVE", "filtered REMOVED ACTIVE"
	for criteria, want := range map[string][]string{
		`{"serInstanceIds":["` + s.id + `"]}`: {suspended, active, removed}, `{"serNames":["filtered"]}`: {suspended, active, removed},
		`{"serNames":["no","filtered"]}`: {suspended, active, removed}, `{"isLocal":true}`: {suspended, active, removed},
		`{"serCategories":[{"href":"/c","id":"its own","name":"RNI","version":"1"}]}`: {suspended, active, removed},
		`{"states":["SUSPENDED"]}`: {suspended}, `{"states":["ACTIVE"]}`: {active, removed},
	} {
		wait.Until(t, "told by "+criteria, func() bool { return len(told[criteria].Changes()) == len(want) })
		require.Equal(t, want, told[criteria].Changes(), criteria)
	}
	for criteria, c := range told {
		if strings.Contains(criteria, "no\"]") && !strings.Contains(criteria, "filtered") || strings.Contains(criteria, "another") || strings.Contains(criteria, `"id":"no"`) ||
			strings.Contains(criteria, "INACTIVE") || strings.Contains(criteria, "false") {
			require.Empty(t, c.Changes(), criteria)
		}
	}
}

func TestOWN_WhatNarrowsIsNeverIgnored(t *testing.T) {
	p := begin(t, "8.1.3.2", "a member of filteringCriteria, or a query parameter, that is not known or of another version: 400, and no subscription")
	for _, criteria := range []string{`{"serName":["a"]}`, `{"serNames":["a"],"colour":"red"}`, `{"SerNames":["a"]}`, `{"state":["ACTIVE"]}`, `{"serCategories":[{"href":"/c","id":"1","name":"n","version":"1","x":1}]}`} {
		p.want(http.StatusBadRequest, "POST", p.of("/subscriptions"), subscriptionTo(nowhere, criteria))
	}
	for _, query := range []string{"instance_id=a", "serName=a", "state=ACTIVE", "colour=red"} {
		p.want(http.StatusBadRequest, "GET", p.of("/services?"+query), "")
	}
	require.NotContains(t, string(p.want(http.StatusOK, "GET", p.of("/subscriptions"), "").Body), "/subscriptions/")
}

func TestOWN_IsLocalIsThePlatforms(t *testing.T) {
	p := begin(t, "8.1.2.2", "isLocal false or true in a POST or PUT: the answer and is_local say what the platform knows, true")
	for _, said := range []string{"true", "false"} {
		s := p.read(p.want(http.StatusCreated, "POST", p.of("/services"), strings.Replace(serviceInfo("local", ""), `"isLocal":true`, `"isLocal":`+said, 1)))
		require.Equal(t, true, p.want(http.StatusOK, "PUT", s.self, strings.Replace(serviceInfo("local", ""), `"isLocal":true`, `"isLocal":`+said, 1)).Object(t)["isLocal"])
		require.Contains(t, string(p.want(http.StatusOK, "GET", p.of("/services?is_local=true"), "").Body), s.id)
		require.NotContains(t, string(p.want(http.StatusOK, "GET", p.of("/services?is_local=false"), "").Body), s.id)
	}
}

func TestOWN_CriteriaThatExcludeEachOther(t *testing.T) {
	p := begin(t, "8.1.3.2", "two of serInstanceIds, serNames and serCategories: 400; two of ser_instance_id, ser_name and ser_category_id: 400")
	const c = `"serCategories":[{"href":"/c","id":"1","name":"n","version":"1"}]`
	for _, two := range []string{`{"serInstanceIds":["a"],"serNames":["b"]}`, `{"serNames":["b"],` + c + `}`, `{"serInstanceIds":["a"],` + c + `}`} {
		p.want(http.StatusBadRequest, "POST", p.of("/subscriptions"), subscriptionTo(nowhere, two))
	}
	for _, two := range []string{"ser_instance_id=a&ser_name=b", "ser_name=b&ser_category_id=c", "ser_instance_id=a&ser_category_id=c"} {
		p.want(http.StatusBadRequest, "GET", mp1.Base+"/services?"+two, "")
	}
}

func TestOWN_AHeartbeatRacingADeletion(t *testing.T) {
	p := begin(t, "8.2.7.3.5", "heartbeats at the same time as a DELETE: whatever wins, the service is gone after it, and no heartbeat brings it back")
	for range 20 {
		s := p.register("n", 1)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				r := p.Do("PATCH", s.liveness, mep.Alive)
				if r.Status != http.StatusNoContent && r.Status != http.StatusNotFound {
					t.Errorf("a heartbeat was answered %d: %s", r.Status, r.Body)
				}
			})
		}
		p.want(http.StatusNoContent, "DELETE", s.self, "")
		wg.Wait()
		p.want(http.StatusNotFound, "PATCH", s.liveness, mep.Alive)
		p.want(http.StatusNotFound, "GET", s.self, "")
		require.False(t, s.discovered())
	}
}

func TestOWN_ARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	note(t, "5.2.12", "kill -9 of the platform: registrations, subscriptions and states are kept; who is silent is suspended and told of after it, who beats is not")
	p := with(t, mep.Start(t, settings...))
	c := newConsumer(t)
	p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(c.URL, `{"states":["SUSPENDED"]}`))
	silent, living := p.register("silent", 1), p.register("living", 10)
	p.Kill()
	p.Restart()
	wait.Until(t, "found dead", func() bool {
		p.want(http.StatusNoContent, "PATCH", living.liveness, mep.Alive)
		return silent.state() == "SUSPENDED"
	})
	wait.Until(t, "told of it", func() bool {
		p.want(http.StatusNoContent, "PATCH", living.liveness, mep.Alive)
		return len(c.Changes()) == 1
	})
	require.Equal(t, []string{"silent STATE_CHANGED SUSPENDED"}, c.Changes())
	require.Equal(t, "ACTIVE", living.state())
	p.Kill()
	p.Restart()
	require.Equal(t, "SUSPENDED", silent.state())
	p.want(http.StatusNoContent, "PATCH", silent.liveness, mep.Alive)
	require.Equal(t, "ACTIVE", silent.state())
}

func TestOWN_AnApplicationTakesItsServicesAlong(t *testing.T) {
	p := begin(t, "7.2.14.3.5", "DELETE of a registration: the application's services and subscriptions are gone, and consumers are told REMOVED")
	c := newConsumer(t)
	s, sub := p.register(t.Name(), 10), p.subscribe()
	watcher := with(t, shared.For(t))
	watcher.want(http.StatusCreated, "POST", watcher.of("/subscriptions"), subscriptionTo(c.URL, `{"serNames":["`+t.Name()+`"]}`))
	p.want(http.StatusNoContent, "DELETE", registrations+"/"+p.app, "")
	watcher.want(http.StatusNotFound, "GET", mp1.Base+"/services/"+s.id, "")
	watcher.want(http.StatusNotFound, "GET", sub, "")
	wait.Until(t, "told", func() bool { return len(c.Changes()) == 1 })
	require.Equal(t, []string{t.Name() + " REMOVED ACTIVE"}, c.Changes())
}

func TestOWN_BothFormsOfTheHeartbeat(t *testing.T) {
	p := begin(t, "8.1.2.5", "state at the top, and wrapped in ServiceLivenessUpdate; under the URI of the feature request; below /mep; as PUT: 204")
	s := p.register("n", 10)
	for _, body := range []string{mep.Alive, `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`} {
		for _, uri := range []string{s.liveness, strings.Replace(s.liveness, "/services/", "/service/", 1), "/mep" + s.liveness} {
			for _, method := range []string{"PATCH", "PUT"} {
				p.want(http.StatusNoContent, method, uri, body)
			}
		}
	}
	p.want(http.StatusBadRequest, "PATCH", s.liveness, `{"state":"ACTIVE","ServiceLivenessUpdate":{"state":"INACTIVE"}}`)
}
